//! Addresses: `http://` and `https://` with a host.

/// Whether a character is invisible or changes the direction of a text: then what is seen is not what is asked for.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Checks an address.
///
/// # Errors
/// What is wrong, as the rest of a sentence after a parameter's name.
pub(super) fn check_address(text: &str) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|c| c.is_control() || c.is_whitespace() || is_hidden(*c)) {
        return Err(format!("must be an address without the character U+{:04X}", u32::from(bad)));
    }
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = text.chars().count() > SHOWN;
    let shown = if rest { format!("{shown}…") } else { shown };
    let Some(authority) = authority(text) else {
        return Err(format!("must be an http:// or https:// address, not `{shown}`"));
    };
    let (host, port) = host_and_port(authority);
    if !is_host(host) {
        return Err(format!("must be an http:// or https:// address with a host, not `{shown}`"));
    }
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if port.is_some_and(|port| !port.is_empty() && !is_port(port)) {
        return Err(format!("must be an address with a port from 0 to 65535, not `{shown}`"));
    }
    Ok(())
}

/// The number of characters of an address that a message shows.
const SHOWN: usize = 200;

/// The host of an address as its server uses it: in lower case, without brackets and without the dot of the root.
pub(super) fn host_of(text: &str) -> Option<String> {
    let (host, _) = host_and_port(authority(text)?);
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    Some(plain.strip_suffix('.').unwrap_or(plain).to_lowercase())
}

/// The part between the scheme and the path, without user and password.
fn authority(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    if authority.starts_with('[') {
        let end = authority.find(']').map_or(authority.len(), |end| end + 1);
        let (host, rest) = authority.split_at(end);
        // Text that is no port makes the whole no host.
        return match (rest.is_empty(), rest.strip_prefix(':')) {
            (true, _) => (host, None),
            (false, Some(port)) => (host, Some(port)),
            (false, None) => ("", None),
        };
    }
    authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let plain = |c: char| c.is_alphanumeric() || "-._~%!$&'()*+,;=".contains(c);
    !host.trim_matches('.').is_empty() && host.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_shows_what_it_is() {
        for good in [
            "http://a",
            "https://shop.example/",
            "HTTP://A.example:80?q={x}#y",
            "http://me:pw@host:1/",
            "http://[::1]:80/",
            "http://127.0.0.1",
            "https://münchen.example/ü",
            "http://a_b.example.",
            "http://a:",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a",
            "ftp://x",
            "http:/x",
            "http://",
            "http:///x",
            "http://?",
            "http://#",
            "http://:80",
            "http://@",
            "http://a@",
            "http://.",
            "http://a:b",
            "http://a:65536",
            "http://a:+8",
            "http://[::1",
            "http://[x]",
            "http://[::1]x",
            "http://a b",
            "http://a\u{1b}",
            "http://a\u{7f}",
            "http://a\u{9b}",
            "http://a/\u{202e}",
            "http://a/\u{200b}",
            "http://a/\n",
            "http://a\0",
            "http://\\a",
            "http://a<b",
        ] {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn equal_hosts_have_one_name() {
        for same in
            ["http://A.Example", "https://a.example./x", "http://u@a.EXAMPLE:8080?y", "HTTP://a.example#z"]
        {
            assert_eq!(host_of(same).as_deref(), Some("a.example"), "{same}");
        }
        assert_eq!(host_of("http://[2001:DB8::1]:80/").as_deref(), Some("2001:db8::1"));
        assert_eq!(host_of("nothing"), None);
    }
}
