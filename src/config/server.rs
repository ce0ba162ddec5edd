//! `[server]`: the stand-alone daemon.

use super::{
    Listen, ServerConfig, Severity,
    diagnostic::Finding,
    fields::Fields,
    keys::{
        Kind::{List, Path, Text},
        Rows, Written, key,
    },
    tree::Value,
};

pub(super) static SERVER: Rows<ServerConfig> = Rows(&[
    key("listen", Text, "\"127.0.0.1:9700\"", "Address or `unix:PATH`; port 0 picks a free one.")
        .sets(listen),
    key(
        "tokens_file",
        Path,
        "\"tokens.toml\"",
        "Tokens of those who ask from elsewhere; needed off loopback.",
    )
    .sets(|it, key| key.put(&mut it.tokens_file)),
    key("allowed_hosts", List(&Text), "[]", "Host names that are answered beside the loopback ones.")
        .sets(allowed_hosts),
]);

/// What the table says, with paths that are absolute.
pub(super) fn server(fields: &Fields<'_>, findings: &mut Vec<Finding>) -> ServerConfig {
    let mut server = ServerConfig::default();
    SERVER.fill(&mut server, fields, findings);
    let home = fields.home_folder();
    server.tokens_file = home.join(server.tokens_file);
    if let Listen::Unix(socket) = server.listen {
        server.listen = Listen::Unix(home.join(socket));
    }
    server
}

fn listen(server: &mut ServerConfig, key: &mut Written<'_>) {
    let Value::Text(text) = &key.node.value else { return };
    match text.parse() {
        Ok(listen) => {
            if matches!(listen, Listen::Unix(_)) {
                let message =
                    "`listen` is accepted, but `supervise up` does not listen on a socket of this kind yet";
                let help = "write an address such as \"127.0.0.1:9700\"";
                let finding = Finding::error(key.node.at, "config.not_yet", message, help);
                key.findings.push(Finding { severity: Severity::Warning, ..finding });
            }
            server.listen = listen;
        }
        Err(message) => {
            let help = "write for example \"127.0.0.1:9700\" or \"unix:supervise.sock\"";
            key.findings.push(Finding::error(key.node.at, "config.value", message, help));
        }
    }
}

fn allowed_hosts(server: &mut ServerConfig, key: &mut Written<'_>) {
    key.put(&mut server.allowed_hosts);
    let Value::List(nodes) = &key.node.value else { return };
    for node in nodes {
        if let Value::Text(host) = &node.value
            && !is_host(host)
        {
            let message = format!("`{host}` is no name of a host, and nobody would be answered by it");
            let help = "write the name alone, as in \"ops.example\": no port, no pattern";
            key.findings.push(Finding::error(node.at, "config.value", message, help));
        }
    }
}

/// Whether a `Host` header may say so: letters, digits, dots and hyphens, or an address of version 6 in brackets.
fn is_host(text: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.trim_matches('.').is_empty() && text.chars().all(named),
    }
}
