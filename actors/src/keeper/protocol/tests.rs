//! Messages read back as written, and any bytes are a message or an error.

use super::*;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..20)
}

fn launch() -> impl Strategy<Value = Request> {
    let list = || proptest::collection::vec(text(), 0..4);
    (any::<(u64, bool, i32, u64, u64, u64)>(), list(), list(), [text(), text(), text(), text(), text()])
        .prop_map(|((token, merge, stop_signal, grace_ms, hold_at, patience_ms), argv, env, texts)| {
            let [program, cwd, stdout, stderr, record] = texts;
            Request::Launch(Launch {
                token,
                merge,
                stop_signal,
                grace_ms,
                hold_at,
                patience_ms,
                program,
                argv,
                env,
                cwd,
                stdout,
                stderr,
                record,
            })
        })
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<u16>(), text()).prop_map(|(version, lock)| Request::Hello { version, lock }),
        launch(),
        any::<(u64, i32, u64)>().prop_map(|(token, signal, grace_ms)| Request::Stop {
            token,
            signal,
            grace_ms
        }),
        any::<(u64, i32)>().prop_map(|(token, signal)| Request::Signal { token, signal }),
        any::<u64>().prop_map(|token| Request::Ack { token }),
        Just(Request::End),
        Just(Request::Ping),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let status = prop_oneof![
        any::<i32>().prop_map(ExitStatus::Code),
        any::<(i32, bool)>().prop_map(|(number, core)| ExitStatus::Signal { number, core }),
        Just(ExitStatus::Unknown),
    ];
    let sizes = |(stdout, stderr)| SpoolSizes { stdout, stderr };
    prop_oneof![
        any::<(u16, i32)>().prop_map(|(version, pid)| Event::Hello { version, pid }),
        Just(Event::Locked),
        any::<(u64, i32, u64)>().prop_map(|(token, pid, start_ticks)| Event::Launched {
            token,
            pid,
            start_ticks
        }),
        any::<(u64, i32)>().prop_map(|(token, errno)| Event::LaunchFailed { token, errno }),
        (any::<(u64, bool)>(), status, any::<(u64, u64)>()).prop_map(
            move |((token, leftovers), status, both)| Event::Exited {
                token,
                status,
                sizes: sizes(both),
                leftovers,
                unspooled: both.1
            }
        ),
        any::<(u64, (u64, u64))>().prop_map(move |(token, both)| Event::Emptied {
            token,
            sizes: sizes(both),
            lost: both.0
        }),
        any::<(u64, u8, (u64, u64), (u64, u64))>().prop_map(
            |(token, stream, (at, length), (bytes, lines))| Event::Lost {
                token,
                stream,
                at,
                length,
                loss: Loss { bytes, lines }
            }
        ),
        any::<(u64, i32)>().prop_map(|(token, errno)| Event::Stuck { token, errno }),
        Just(Event::Pong),
    ]
}

proptest! {
    #[test]
    fn messages_read_back_as_written_and_only_whole(request in request(), event in event()) {
        let mut bytes = request.encode();
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
        bytes.push(0);
        prop_assert_eq!(Request::decode(&bytes), Err(ProtocolError::Long));
        let bytes = event.encode();
        prop_assert_eq!(Event::decode(&bytes), Ok(event));
        for length in 0..bytes.len() {
            prop_assert_eq!(Event::decode(&bytes[..length]), Err(ProtocolError::Short));
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Request::decode(&bytes));
        drop(Event::decode(&bytes));
    }
}
