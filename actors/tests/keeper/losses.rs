//! What becomes of output that no spool takes, and of a keeper that others signal.

use super::{Bench, Patience, poll, take_wakes};
use actix_process_actors::{
    keeper::protocol::{Event, Launch, Request},
    model::{ExitStatus, Loss, SpoolName, SpoolStored, Stream},
};
use rustix::net::SendFlags;
use std::{
    fs,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::PathBuf,
};

/// A start whose spools lie in a folder that is a file: nothing can be written there, by whomever.
fn blocked(bench: &mut Bench, script: &str) -> (Launch, PathBuf) {
    let place = bench.folder.path().join("place");
    fs::write(&place, "in the way").unwrap();
    let mut launch = bench.request(&["/bin/sh", "-c", script]);
    launch.stdout = place.join("out").as_os_str().as_bytes().to_vec();
    launch.stderr = place.join("err").as_os_str().as_bytes().to_vec();
    (launch, place)
}

fn stuck(bench: &mut Bench, wanted: u64, as_wanted: impl Fn(i32) -> bool) {
    bench.wait(
        |event| matches!(event, Event::Stuck { token, errno } if *token == wanted && as_wanted(*errno)),
    );
}

/// Standard output's losses, and the bytes of lines that stand for them.
fn lost(bench: &mut Bench) -> (Loss, u64) {
    let (mut sum, mut marks) = (Loss::default(), 0);
    for (event, _) in bench.heard(|event| matches!(event, Event::Lost { stream: 0, .. })) {
        let Event::Lost { loss, length, .. } = event else { unreachable!() };
        sum = Loss { bytes: sum.bytes + loss.bytes, lines: sum.lines + loss.lines };
        marks += length;
    }
    (sum, marks)
}

/// Bytes of the numbers from 1 to this, a line each.
fn bytes_to(last: u64) -> u64 {
    (1..=last).map(|n| n.to_string().len() as u64 + 1).sum()
}

pub(super) fn a_spool_folder_that_was_removed_is_made_anew() {
    let mut bench = Bench::new();
    let mut launch = bench.request(&["/bin/sh", "-c", "echo here"]);
    let folder = bench.folder.path().join("removed");
    launch.stdout = folder.join("out").as_os_str().as_bytes().to_vec();
    let (token, _) = bench.launch(launch);
    assert_eq!(bench.exited(token).1.stdout, 5);
    assert_eq!(fs::read(folder.join("out")).unwrap(), b"here\n");
}

pub(super) fn output_that_waits_at_the_end_is_told_and_kept_until_there_is_a_place() {
    let mut bench = Bench::new();
    let (launch, place) = blocked(&mut bench, "echo HTTP 429; exit 1");
    let (token, _) = bench.launch(launch);
    let (event, _) = bench.wait(|event| matches!(event, Event::Exited { .. }));
    let Event::Exited { status, sizes, leftovers, unspooled, .. } = event else { unreachable!() };
    assert_eq!((status, sizes.stdout, unspooled), (ExitStatus::Code(1), 0, 9));
    assert!(!leftovers, "bytes that wait are nobody left behind");
    stuck(&mut bench, token, |errno| errno == libc::ENOTDIR);
    fs::remove_file(&place).unwrap();
    assert_eq!(bench.emptied(token).stdout, 9);
    assert_eq!(fs::read(place.join("out")).unwrap(), b"HTTP 429\n");
    assert_eq!(lost(&mut bench).0, Loss::default());
}

pub(super) fn output_that_a_stop_cannot_wait_for_is_counted() {
    let mut bench = Bench::new();
    let (launch, _) = blocked(&mut bench, "seq 1 2000; printf unfinished");
    let (token, _) = bench.launch(Launch { patience_ms: u64::MAX, ..launch });
    bench.exited(token);
    bench.send(&Request::Stop { token, signal: libc::SIGTERM, grace_ms: 100 });
    bench.emptied(token);
    let all = Loss { bytes: bytes_to(2_000) + 10, lines: 2_001 };
    assert_eq!(lost(&mut bench), (all, 0));
}

pub(super) fn with_patience_for_ever_a_child_waits_until_its_output_has_a_place() {
    let mut bench = Bench::new();
    let (launch, place) = blocked(&mut bench, "seq 1 300000");
    let (token, _) = bench.launch(Launch { patience_ms: u64::MAX, ..launch });
    stuck(&mut bench, token, |errno| errno == libc::ENOTDIR);
    fs::remove_file(&place).unwrap();
    stuck(&mut bench, token, |errno| errno == 0);
    let (status, sizes, _) = bench.exited(token);
    assert_eq!((status, sizes.stdout), (ExitStatus::Code(0), bytes_to(300_000)));
    super::assert_counts_up(&fs::read(place.join("out")).unwrap(), 300_000);
}

pub(super) fn without_patience_what_has_no_place_is_dropped_whole_lines_and_counted() {
    let mut bench = Bench::new();
    let gate = bench.folder.path().join("gate");
    let script = format!(
        "seq 1 300000; echo >{0}.reached; until [ -e {0} ]; do sleep 0.01; done; seq 300001 300010",
        gate.display()
    );
    let (launch, place) = blocked(&mut bench, &script);
    let (token, _) = bench.launch(launch);
    let mut patience = Patience::new();
    while !gate.with_extension("reached").exists() {
        poll(bench.wake.as_raw_fd(), libc::POLLIN, 20);
        patience.check("the child, which nothing holds up");
    }
    fs::remove_file(&place).unwrap();
    stuck(&mut bench, token, |errno| errno == 0);
    fs::write(&gate, "").unwrap();
    let (_, sizes, _) = bench.exited(token);
    bench.emptied(token);
    let (loss, mark) = lost(&mut bench);
    assert_eq!(loss.bytes + sizes.stdout - mark, bytes_to(300_010), "every byte is kept or counted");
    let kept = String::from_utf8(fs::read(place.join("out")).unwrap()).unwrap();
    let mut lines = kept.lines();
    let said = format!("[{} lines ({} bytes) are lost: the disk took none of them]", loss.lines, loss.bytes);
    assert_eq!(lines.next(), Some(said.as_str()));
    let numbers: Vec<u64> = lines.map(|line| line.parse().unwrap()).collect();
    let expected: Vec<u64> = (loss.lines + 1..=300_010).collect();
    assert!(numbers == expected, "from {:?} on, whole lines, to the last one", numbers.first());
}

pub(super) fn a_held_child_goes_on_at_the_readers_word() {
    let mut bench = Bench::new();
    let mut launch = bench.request(&["/bin/sh", "-c", "head -c 8388608 /dev/zero"]);
    (launch.hold_at, launch.patience_ms) = (1 << 20, u64::MAX);
    let (token, _) = bench.launch(launch);
    let mut patience = Patience::new();
    let mut said = 0;
    while said < 8 << 20 {
        let size = fs::metadata(bench.path(token, "out")).map_or(0, |metadata| metadata.len());
        assert!(size - said <= 1 << 20, "{size} of {said}");
        if size > said {
            // Nothing is given back: some file systems cannot.
            let word = SpoolStored { name: SpoolName::new(token, Stream::Stdout), to: size };
            rustix::net::send(&bench.wake, &word.encode(), SendFlags::NOSIGNAL).unwrap();
            said = size;
        }
        poll(bench.wake.as_raw_fd(), libc::POLLIN, 20);
        take_wakes(&bench.wake);
        patience.check("the bytes");
    }
    assert_eq!(bench.exited(token).1.stdout, 8 << 20);
}

pub(super) fn a_reader_that_stands_still_is_waited_for_as_long_as_the_patience_lasts() {
    let mut bench = Bench::new();
    let mut launch = bench.request(&["/bin/sh", "-c", "seq 1 300000"]);
    (launch.hold_at, launch.patience_ms) = (64 << 10, 50);
    let (token, _) = bench.launch(launch);
    stuck(&mut bench, token, |errno| errno == -1);
    let (status, sizes, _) = bench.exited(token);
    bench.emptied(token);
    let (loss, mark) = lost(&mut bench);
    assert_eq!(status, ExitStatus::Code(0));
    assert!(loss.lines > 0, "it was dropped in the end");
    assert_eq!(loss.bytes + sizes.stdout - mark, bytes_to(300_000), "every byte is kept or counted");
}

pub(super) fn a_ping_is_answered() {
    let mut bench = Bench::new();
    bench.send(&Request::Ping);
    bench.wait(|event| *event == Event::Pong);
}
