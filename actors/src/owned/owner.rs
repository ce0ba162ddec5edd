//! Whose files are trusted.

use std::fs;

/// Of ours, or of root's, who may do anything anyway.
pub(super) fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// `nobody (65534)`; the number alone for a user that the machine's own list does not have.
pub(super) fn name_of(user: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then_some(name)
    });
    match name {
        Some(name) => format!("{name} ({user})"),
        None => format!("user {user}"),
    }
}
