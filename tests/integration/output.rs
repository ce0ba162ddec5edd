//! Every byte a child writes is kept, in order per stream.

use crate::bench_of_one::{Gate, bench, in_time, shell};
use actix_process::actors::model::{Phase, Stream};

#[actix::test]
async fn redirections_to_dev_stdout_lose_nothing() {
    let bench =
        bench([shell("echo", "echo a; echo b > /dev/stdout; echo c >&2; echo d > /dev/stderr; echo e")])
            .await;
    let run = bench.start("echo").await;
    assert!(run.wait().await.expect("it ends").is_success());
    assert_eq!(String::from_utf8_lossy(&bench.output(&run, Stream::Stdout).await), "a\nb\ne\n");
    assert_eq!(String::from_utf8_lossy(&bench.output(&run, Stream::Stderr).await), "c\nd\n");
    bench.end().await;
}

#[actix::test]
async fn a_flood_of_both_streams_is_kept_to_the_last_byte() {
    // 3 million numbers on each stream, about 22 MB each, written as fast as it goes.
    let line = "seq 1 3000000 & seq 1 3000000 >&2; wait";
    let bench = bench([shell("flood", line)]).await;
    let run = bench.start("flood").await;
    assert!(in_time("the end", run.wait()).await.expect("it ends").is_success());
    let mut expected = Vec::new();
    for n in 1..=3_000_000 {
        expected.extend_from_slice(format!("{n}\n").as_bytes());
    }
    for stream in [Stream::Stdout, Stream::Stderr] {
        let found = bench.output(&run, stream).await;
        assert_eq!(found.len(), expected.len(), "{stream:?}");
        assert!(found == expected, "{stream:?} differs");
    }
    bench.end().await;
}

#[actix::test]
async fn bytes_that_are_no_text_and_lines_without_end_are_kept_too() {
    let line =
        r"printf '\000\001\377\n'; head -c 1000000 /dev/zero | tr '\0' x; printf '\n'; printf 'no newline'";
    let bench = bench([shell("binary", line)]).await;
    let run = bench.start("binary").await;
    assert!(run.wait().await.expect("it ends").is_success());
    let mut expected = b"\0\x01\xff\n".to_vec();
    expected.extend(std::iter::repeat_n(b'x', 1_000_000));
    expected.extend(b"\nno newline");
    let found = bench.output(&run, Stream::Stdout).await;
    assert!(found == expected, "{} bytes of {}", found.len(), expected.len());
    bench.end().await;
}

#[actix::test]
async fn merged_streams_keep_the_order_of_writing() {
    let mut program = shell("merged", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done");
    program.output.stderr = actix_process::StderrMode::Merge;
    let bench = bench([program]).await;
    let run = bench.start("merged").await;
    assert!(run.wait().await.expect("it ends").is_success());
    let found = bench.output(&run, Stream::Stdout).await;
    assert_eq!(String::from_utf8_lossy(&found), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
    bench.end().await;
}

#[actix::test]
async fn a_line_is_visible_while_the_child_still_runs_and_a_follower_sees_each_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::new(folder.path());
    let line = format!("for i in 1 2 3; do echo line $i; {}; done", gate.wait());
    let bench = bench([shell("slow", &line)]).await;
    let run = bench.start("slow").await;
    let mut follower = run.logs().follow();
    for i in 1..=3 {
        let record =
            in_time("a line", follower.next_record()).await.expect("it reads").expect("there is one");
        assert_eq!(String::from_utf8_lossy(&record.bytes), format!("line {i}"));
        assert_eq!(run.status().await.expect("known").phase, Phase::Running);
        gate.open();
    }
    assert!(
        in_time("the end", follower.next_record()).await.expect("it reads").is_none(),
        "it ends with the run"
    );
    bench.end().await;
}
