//! The Launcher with a keeper of its own process and real children; supervisors that die are this executable again.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

use actix::{Actor, Addr, Context, Handler};
use actix_process_actors::{
    keeper::{
        self,
        tree::{Process, Snapshot, Strays, TagCache},
        wake_pair,
    },
    launcher::{
        Acknowledge, ForgetSecrets, KeepSecrets, Launch, LauncherActor, LauncherConfig, Orphan, Recover,
        Report, Shutdown, Signal, Stop,
    },
    model::{
        AttemptId, Command, ExitStatus, ParamSpec, ParamValue, Params, Program, RunId, SpawnProblem,
        Timestamp,
    },
};
use std::{
    collections::BTreeMap,
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

const MANAGER: u128 = 0x5eed;
const PATIENCE: Duration = Duration::from_secs(60);

/// Set for a supervisor that is going to die; its value is the store.
const DOOMED: &str = "TEST_DOOMED_SUPERVISOR";

struct Recorder(mpsc::UnboundedSender<Report>);

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Report> for Recorder {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        let _ = self.0.send(report);
    }
}

struct Bench {
    launcher: Addr<LauncherActor>,
    reports: mpsc::UnboundedReceiver<Report>,
    run: RunId,
    number: u32,
    _wake: OwnedFd,
}

impl Bench {
    fn new(store: &Path) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let (wake, receiver) = wake_pair().unwrap();
        let recorder = Recorder(sender).start().recipient();
        // Each bench is a manager of its own, so that scenarios never see each other's children.
        let config = LauncherConfig::new(store.to_owned(), manager_of(store), recorder, wake);
        let launcher = LauncherActor::new(config).unwrap().start();
        Self { launcher, reports, run: RunId::from_parts(1, 7), number: 0, _wake: receiver }
    }

    fn launch(&mut self, program: Program, params: Params) -> AttemptId {
        self.number += 1;
        let attempt = AttemptId { run: self.run, number: self.number };
        self.launcher.do_send(Launch { attempt, program: Arc::new(program), params });
        attempt
    }

    fn shell(&mut self, script: &str) -> AttemptId {
        self.launch(shell(script), Params::new())
    }

    async fn next(&mut self) -> Report {
        tokio::time::timeout(PATIENCE, self.reports.recv()).await.unwrap().unwrap()
    }

    /// The output of one attempt that ends by itself, whose program is to succeed.
    async fn output(&mut self, program: Program, params: Params) -> String {
        self.launch(program, params);
        let Report::Launched { spool, .. } = self.next().await else { panic!("not launched") };
        let Report::Exited { exit, sizes, .. } = self.next().await else { panic!("no exit") };
        let Report::Emptied { .. } = self.next().await else { panic!("not emptied") };
        let output = fs::read_to_string(&spool.stdout).unwrap_or_default();
        assert_eq!((exit, sizes.stdout), (ExitStatus::Code(0), output.len() as u64), "{output}");
        output
    }

    async fn failure(&mut self, program: Program) -> (SpawnProblem, String) {
        self.launch(program, Params::new());
        match self.next().await {
            Report::LaunchFailed { failure, .. } => (failure.problem, failure.message),
            other => panic!("{other:?}"),
        }
    }
}

fn manager_of(store: &Path) -> u128 {
    let name = store.file_name().unwrap().as_encoded_bytes();
    name.iter().fold(MANAGER, |sum, byte| sum.wrapping_mul(31).wrapping_add(u128::from(*byte)))
}

fn argv(words: &[&str]) -> Program {
    let words = words.iter().map(|word| (*word).into()).collect();
    let mut program = Program::new("p", Command::Argv(words));
    program.base_dir = "/tmp".into();
    program
}

fn shell(script: &str) -> Program {
    let mut program = argv(&["sh", "-c"]);
    // Not an element of the command, where braces are places.
    program.args = vec![script.replace('{', "{{").replace('}', "}}").into()];
    program
}

fn alive(store: &Path) -> Vec<Process> {
    let mut snapshot = Snapshot::take().unwrap();
    snapshot.read_tags(Strays::Anywhere, &mut TagCache::default(), |_| false);
    let prefix = format!("{:032x}/", manager_of(store));
    snapshot.tagged(prefix.as_bytes()).map(|(_, process)| *process).collect()
}

fn main() {
    keeper::init();
    if let Some(store) = std::env::var_os(DOOMED) {
        return actix_rt::System::new().block_on(doomed(Path::new(&store)));
    }
    let filter: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    macro_rules! scenarios {
        ($($name:ident)*) => {$(
            if filter.is_empty() || filter.iter().any(|part| stringify!($name).contains(part.as_str())) {
                println!("test {}", stringify!($name));
                let store = tempfile::tempdir().unwrap();
                actix_rt::System::new().block_on($name(store.path()));
                assert_eq!(alive(store.path()), [], "nobody is left");
            }
        )*};
    }
    scenarios! {
        a_program_runs_with_its_arguments_environment_and_secrets
        a_failed_start_says_which_part_was_wrong
        a_stop_ends_with_emptiness_and_shutdown_with_the_keeper
        a_keeper_that_is_killed_takes_no_byte_with_it_and_a_new_one_goes_on
        after_a_supervisors_death_the_keepers_records_are_found
        after_the_death_of_both_the_trees_are_stopped_and_their_pipes_rescued
    }
}

async fn a_program_runs_with_its_arguments_environment_and_secrets(store: &Path) {
    let mut bench = Bench::new(store);
    let scripts = store.join("scripts");
    fs::create_dir(&scripts).unwrap();
    fs::write(scripts.join("show.sh"), "printf '<%s>' \"$@\" \"$KEY\" \"$WHO\" \"$ACTIX_PROCESS\"").unwrap();
    let mut program = Program::new(
        "p",
        Command::Script { name: "show".into(), path: vec!["scripts".into()], interpreter: Vec::new() },
    );
    program.base_dir = store.to_owned();
    program.args = ["--v={v}", "{v}", "{unset}"].map(Into::into).into();
    program.env = BTreeMap::from([("WHO".to_owned(), "{v}!".to_owned())]);
    let specs = [ParamSpec::string("v"), ParamSpec::string("unset"), ParamSpec::string("key").secret("KEY")];
    program.params = specs.map(|spec| (spec.name.clone(), spec)).into();
    let values = BTreeMap::from([("key".to_owned(), "hush hush".to_owned())]);
    bench.launcher.send(KeepSecrets { run: bench.run, values }).await.unwrap().unwrap();
    let hostile = "$(reboot); 'rm -rf' \"/\"\n`x` {v}";
    let params = Params::from([("v".to_owned(), hostile.into()), ("key".to_owned(), ParamValue::Secret)]);
    let output = bench.output(program, params).await;
    let tag = format!("{:032x}/{}/1", manager_of(store), bench.run);
    assert_eq!(output, format!("<--v={hostile}><{hostile}><hush hush><{hostile}!><{tag}>"));
    bench.launcher.send(ForgetSecrets { run: bench.run }).await.unwrap();
    assert!(!store.join("secrets").join(bench.run.to_string()).exists());
    assert_eq!(bench.output(argv(&["pwd"]), Params::new()).await, "/tmp\n");
    bench.launcher.send(Shutdown).await.unwrap();
}

async fn a_failed_start_says_which_part_was_wrong(store: &Path) {
    let mut bench = Bench::new(store);
    let file = |name: &str, content: &str, mode: u32| {
        let path = store.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        argv(&[path.to_str().unwrap()])
    };
    let closed = file("closed.sh", "#!/bin/sh\n", 0o644);
    let lost = file("lost", "#!/no/such/interpreter\n", 0o755);
    let plain = file("plain", "echo\n", 0o755);
    let mut elsewhere = argv(&["true"]);
    elsewhere.cwd = "/no/such/folder".into();
    let mut unread = argv(&["true"]);
    unread.env_file = Some("no-such.env".into());
    for (program, problem, says) in [
        (argv(&["/no/such/program"]), SpawnProblem::NotFound, "no file `/no/such/program`"),
        (argv(&["no-such-program"]), SpawnProblem::NotFound, "no program `no-such-program` on its PATH"),
        (closed, SpawnProblem::Permission, "not executable (mode 0644)"),
        (lost, SpawnProblem::Interpreter, "`/no/such/interpreter`, which does not exist"),
        (plain, SpawnProblem::Format, "neither a program nor a script"),
        (elsewhere, SpawnProblem::Cwd, "/no/such/folder does not exist"),
        (unread, SpawnProblem::Input, "env_file"),
    ] {
        let (found, message) = bench.failure(program).await;
        assert_eq!(found, problem, "{message}");
        assert!(message.contains(says), "{message}");
    }
    bench.launcher.send(Shutdown).await.unwrap();
}

async fn a_stop_ends_with_emptiness_and_shutdown_with_the_keeper(store: &Path) {
    let mut bench = Bench::new(store);
    let attempt = bench.shell("trap 'exit 3' USR1; while :; do sleep 0.05; done");
    let Report::Launched { .. } = bench.next().await else { panic!("not launched") };
    // Twice the same stop changes nothing; the signal may come before the trap is set.
    let _ = bench.launcher.send(Signal { attempt, signal: 0 }).await;
    for _ in 0..2 {
        bench.launcher.do_send(Stop { attempt, signal: libc::SIGTERM, timeout_ms: 60_000 });
    }
    let Report::Exited { exit, .. } = bench.next().await else { panic!("no exit") };
    assert_eq!(exit, ExitStatus::Signal { number: libc::SIGTERM, core: false });
    let Report::Emptied { .. } = bench.next().await else { panic!("not emptied") };
    bench.launcher.do_send(Acknowledge { attempt });
    bench.launcher.send(Shutdown).await.unwrap();
    assert!(fs::File::open(store.join("keeper.lock")).unwrap().try_lock().is_ok(), "the keeper is gone");
}

/// The keeper's process, from its lock.
fn keeper_of(store: &Path) -> Process {
    let text = fs::read_to_string(store.join("keeper.lock")).unwrap();
    Process::read(text.trim().parse().unwrap()).unwrap()
}

async fn a_keeper_that_is_killed_takes_no_byte_with_it_and_a_new_one_goes_on(store: &Path) {
    let mut bench = Bench::new(store);
    let counted = store.join("counted");
    // Says how far it came, beside the output: what it counted last was certainly written before.
    let script = format!(
        "(setsid sleep 1000 &); i=0; while :; do i=$((i+1)); echo line $i; echo $i > {}; done",
        counted.display()
    );
    let busy = bench.shell(&script);
    let Report::Launched { spool, .. } = bench.next().await else { panic!("not launched") };
    let quiet = bench.shell("exec sleep 1000");
    let Report::Launched { .. } = bench.next().await else { panic!("not launched") };
    let count =
        || fs::read_to_string(&counted).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    while count() < 1_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    keeper_of(store).signal(libc::SIGKILL);
    let Report::KeeperLost { attempts: 2, .. } = bench.next().await else { panic!("not lost") };
    let mut ended = Vec::new();
    for _ in 0..2 {
        let Report::Exited { attempt, exit, .. } = bench.next().await else { panic!("no exit") };
        assert_eq!(exit, ExitStatus::Unknown);
        let Report::Emptied { sizes, .. } = bench.next().await else { panic!("not emptied") };
        ended.push(attempt);
        if attempt == busy {
            let output = fs::read_to_string(&spool.stdout).unwrap();
            assert_eq!(output.len() as u64, sizes.stdout);
            let lines: Vec<&str> = output.lines().collect();
            assert!(lines.iter().zip(1..).all(|(line, n): (_, u64)| *line == format!("line {n}")));
            assert!(lines.len() as u64 >= count(), "{} lines, {} counted", lines.len(), count());
        }
    }
    ended.sort();
    assert_eq!(ended, [busy, quiet]);
    assert_eq!(alive(store), []);
    assert_eq!(bench.output(shell("echo again"), Params::new()).await, "again\n");
    bench.launcher.send(Shutdown).await.unwrap();
}

/// A supervisor that starts two children, tells who they are, and waits for its death.
async fn doomed(store: &Path) {
    let mut bench = Bench::new(store);
    let mut told = String::new();
    for script in [
        "trap 'echo bye; exit 8' TERM; echo ready; while :; do sleep 0.05; done",
        "trap '' TERM; (setsid sh -c 'sleep 1000; :' &); echo ready; while :; do sleep 0.05; done",
    ] {
        let mut program = shell(script);
        program.stop_timeout_ms = 500;
        bench.launch(program, Params::new());
        let Report::Launched { pid, start_ticks, spool, .. } = bench.next().await else {
            panic!("not launched")
        };
        while fs::read(&spool.stdout).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        told.push_str(&format!("{pid} {start_ticks}\n"));
    }
    fs::write(store.join("told.new"), told).unwrap();
    fs::rename(store.join("told.new"), store.join("told")).unwrap();
    std::future::pending::<()>().await;
}

/// Lets a supervisor live until its children do, and gives it and what its journal would say.
async fn bring_up_a_doomed_one(store: &Path) -> (std::process::Child, Vec<Orphan>) {
    #[expect(clippy::disallowed_methods, reason = "a supervisor is no child of a keeper")]
    let child =
        std::process::Command::new(std::env::current_exe().unwrap()).env(DOOMED, store).spawn().unwrap();
    while !store.join("told").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = fs::read_to_string(store.join("told")).unwrap();
    let orphans = told.lines().zip(1..).map(|(line, number)| {
        let (pid, start) = line.split_once(' ').unwrap();
        Orphan {
            attempt: AttemptId { run: RunId::from_parts(1, 7), number },
            pid: pid.parse().ok(),
            start_ticks: start.parse().unwrap(),
            started_at: Timestamp(1),
        }
    });
    (child, orphans.collect())
}

async fn after_a_supervisors_death_the_keepers_records_are_found(store: &Path) {
    let (mut doomed, orphans) = bring_up_a_doomed_one(store).await;
    doomed.kill().unwrap();
    doomed.wait().unwrap();
    let mut bench = Bench::new(store);
    bench.number = 2;
    let answer = bench.launcher.send(Recover { orphans });
    let early = bench.shell("echo waited");
    let recovered = answer.await.unwrap();
    assert_eq!(alive(store).len(), 0);
    let killed = ExitStatus::Signal { number: libc::SIGKILL, core: false };
    let found: Vec<_> = recovered.ends.iter().map(|one| (one.exit, one.stopped_by_keeper)).collect();
    assert_eq!(found, [(ExitStatus::Code(8), true), (killed, true)]);
    assert_eq!(fs::read(&recovered.ends[0].spool.stdout).unwrap(), b"ready\nbye\n");
    assert_eq!(recovered.ends[0].sizes.stdout, 10);
    assert!(matches!(bench.next().await, Report::Launched { attempt, .. } if attempt == early));
    let record = store.join("spool").join(format!("{}.1.exit", bench.run));
    assert!(record.exists());
    bench.launcher.send(Acknowledge { attempt: recovered.ends[0].attempt }).await.unwrap();
    assert!(!record.exists());
    bench.next().await;
    bench.next().await;
    bench.launcher.send(Shutdown).await.unwrap();
}

async fn after_the_death_of_both_the_trees_are_stopped_and_their_pipes_rescued(store: &Path) {
    let (mut doomed, orphans) = bring_up_a_doomed_one(store).await;
    let supervisor = Process::read(i32::try_from(doomed.id()).unwrap()).unwrap();
    supervisor.signal(libc::SIGSTOP);
    keeper_of(store).signal(libc::SIGKILL);
    doomed.kill().unwrap();
    doomed.wait().unwrap();
    // Written while nobody reads: it is in the pipe alone.
    let pid = orphans[0].pid.unwrap();
    fs::write(format!("/proc/{pid}/fd/1"), "unheard\n").unwrap();
    let bench = Bench::new(store);
    let recovered = bench.launcher.send(Recover { orphans }).await.unwrap();
    assert!(recovered.ends.iter().all(|one| one.exit == ExitStatus::Unknown && !one.stopped_by_keeper));
    assert_eq!(fs::read(&recovered.ends[0].spool.stdout).unwrap(), b"ready\nunheard\n");
    assert_eq!(alive(store), []);
    bench.launcher.send(Shutdown).await.unwrap();
}
