//! A web service of yours that starts jobs for its users: `cargo run --example embed_in_actix_web`, then paste what it prints.
//!
//! | request | answer |
//! |---|---|
//! | `POST /jobs {"kind":"convert","params":{"file":"a.pdf"}}` | 202 and the job's id |
//! | `GET /jobs/{id}` | phase, attempt, newest line, percentage; why it failed and what happens next |
//! | `GET /jobs/{id}/output` | what it wrote, all attempts, as `text/plain` |
//! | `DELETE /jobs/{id}` | 202; its whole tree is stopped |
//!
//! The header `x-user` names the user, and nobody sees the jobs of others. **It stands for your login**: whoever can
//! reach this port can write any name there, which is why it listens on the loopback.
//!
//! The handlers know a trait ([`jobs::Jobs`]) and no supervisor, so they are tested without a single process; what the
//! supervisor makes of the trait is in `supervisor`. Of this crate's own HTTP API nothing is mounted.
#![expect(clippy::print_stdout, reason = "that is how it says where it listens")]

mod handlers;
mod jobs;
mod progress;
mod self_test;
mod supervisor;
#[cfg(test)]
mod tests;

use actix_process::ProcessManager;
use actix_web::{App, HttpServer};
use clap::Parser;
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

/// Threads that answer. Handlers only wait for the supervisor, which has threads of its own.
const WORKERS: usize = 2;

/// Seconds that answers under way may take when the service ends; what is longer, such as a large output to a slow
/// reader, is cut.
const STOP_WITHIN_S: u64 = 5;

/// A web service that starts jobs for its users.
#[derive(Parser)]
struct Asked {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder of the store; without it a temporary one, and jobs are forgotten at the end
    #[arg(long)]
    data: Option<PathBuf>,
    /// Be a client instead: try everything on the service at this URL
    #[arg(long, value_name = "URL")]
    self_test: Option<String>,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    actix_process::init(); // first: the keeper of the children becomes a process of its own
    let asked = Asked::parse();
    if let Some(url) = asked.self_test {
        return self_test::run(&url);
    }
    // Before the supervisor, so that a second service on this port disturbs nothing.
    let listener = TcpListener::bind(asked.listen)?;
    let scratch = tempfile::tempdir()?;
    let pm = ProcessManager::builder()
        .store(asked.data.as_deref().unwrap_or(scratch.path()))
        .programs(supervisor::programs())
        .start()
        .await?;
    let served = serve(&pm, listener).await;
    // After the server, so that no request meets a supervisor that is gone; and however serving ended.
    pm.shutdown().await?;
    Ok(served?)
}

/// Ends after SIGTERM, SIGINT or SIGQUIT, which actix-web takes care of.
async fn serve(pm: &ProcessManager, listener: TcpListener) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let pm = pm.clone();
    let server = HttpServer::new(move || App::new().configure(handlers::routes(pm.clone())))
        .workers(WORKERS)
        .shutdown_timeout(STOP_WITHIN_S)
        .listen(listener)?
        .run();
    greet(address);
    server.await
}

fn greet(address: SocketAddr) {
    println!("listening on http://{address}\n");
    println!(
        "id=$(curl -s http://{address}/jobs -H 'x-user: alice' -H 'content-type: application/json' \
         -d '{{\"kind\":\"convert\",\"params\":{{\"file\":\"holiday.pdf\",\"pages\":30}}}}' | cut -d'\"' -f4)"
    );
    println!("curl -s http://{address}/jobs/$id -H 'x-user: alice'");
    println!("curl -s http://{address}/jobs/$id/output -H 'x-user: alice'");
    println!(
        "\nThen a file named `damaged.pdf`, or the kind `newsletter` with the parameter `list`, to see a failure."
    );
}
