//! Who listens on a port of this machine: for the error when it is taken.

use std::{fs, net::SocketAddr, path::Path};

/// `pid 4711 (supervise)`, when the process may be looked at.
pub(crate) fn owner(address: SocketAddr) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, address.port()))?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        // `self` and `thread-self` lead to us a second time, and may come first.
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if holds(&process.path(), &wanted) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("pid {pid} ({})", name.trim()));
        }
    }
    None
}

fn holds(process: &Path, wanted: &str) -> bool {
    let Ok(fds) = fs::read_dir(process.join("fd")) else { return false };
    fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted))
}

/// The inode of the socket that listens on this port, from the kernel's table.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let matches = u16::from_str_radix(local, 16) == Ok(port) && fields.get(3) == Some(&LISTEN);
        matches.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_of_ours_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = owner(listener.local_addr().unwrap()).unwrap();
        assert!(owner.starts_with(&format!("pid {} (", std::process::id())), "{owner}");
    }
}
