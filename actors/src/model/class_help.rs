//! What a class means and what to do about it, in one line.

use super::Class;

/// The meaning of a built-in class, then one thing to do. `None` for a class of a program's own: its rule says what
/// it means, and its author knows what to do.
#[must_use]
pub fn class_help(class: &str) -> Option<&'static str> {
    Some(match class {
        Class::RATE_LIMITED => {
            "the other side says that requests come too fast: ask for less at a time (classes.rate_limited.adjust, max_concurrent)"
        }
        Class::BLOCKED => {
            "the other side takes it for a robot or has banned it (captcha, 403): wait, change what it asks for, or talk to the site's owner"
        }
        Class::UPSTREAM => {
            "the other side is ill (it answered 5xx): nothing to do here but to wait until it is well again"
        }
        Class::NETWORK => {
            "the other side could not be reached (DNS, connection, TLS or timeout): check its address and whether it is up"
        }
        Class::STALLED => {
            "it wrote nothing for idle_timeout and was stopped: look at its last lines, or allow a longer idle_timeout"
        }
        Class::TIMEOUT_RUN => {
            "it ran longer than timeout and was stopped: give it less to do, or allow a longer timeout"
        }
        Class::CRASH => {
            "a signal ended it, sent by the kernel for a fault in it or by somebody else: look at its last lines"
        }
        Class::OOM => {
            "it had too little memory: give it less to do at a time, run fewer at once (max_concurrent), or give the machine more"
        }
        Class::EXIT_NONZERO => {
            "it failed, and no rule knows why: look at its last lines, and add a [[…classify]] rule for what they say"
        }
        Class::EARLY_EXIT => {
            "a daemon ended before it had been well for reset_after: look at its last lines; if it is meant to end, it is a job (restart = \"on-failure\")"
        }
        Class::CLEAN_EXIT => {
            "a daemon ended by itself with success after a healthy life, and is started again: nothing to do"
        }
        Class::EMPTY_RESULT => {
            "it ended well and brought nothing: see whether the other side has changed, or `success` asks for too much"
        }
        Class::CONFIG => {
            "it does not accept how it was called or set up (usage, credentials, a missing module), so trying again cannot help: correct that, then start it again"
        }
        Class::SPAWN_PERMANENT => {
            "its process could not be made, and would not be the next time: correct the file, folder or permission that is named"
        }
        Class::SPAWN_TRANSIENT => {
            "its process could not be made because the system was short of something: free memory, processes or descriptors"
        }
        Class::OPERATOR_STOP => "somebody stopped it: start it again when it is wanted",
        Class::SHUTDOWN => "the supervisor was shut down: it goes on with the next one",
        Class::BREAKER_STOP => {
            "a breaker opened whose rules stop what lives in its scope (on_open): it goes on when that closes; nothing to do"
        }
        Class::LOST => {
            "its end was not seen, because the supervisor or its keeper died: it is treated as on_lost says; nothing to do"
        }
        _ => return None,
    })
}

/// One thing to do about what a built-in rule found, where the rule knows more than its class; else `None`.
#[must_use]
pub fn rule_help(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "builtin:exit_not_found" | "builtin:command_not_found" => {
            "a command in it was not found, so trying again cannot help: its last lines may name it; install it, write it with its path, or set PATH in env"
        }
        "builtin:exit_not_executable" => {
            "a command in it may not be executed, so trying again cannot help: its last lines may name it; chmod +x it, or call it by its interpreter"
        }
        "builtin:windows_line_ends" => {
            "a script in it has the line ends of Windows, so trying again cannot help: sed -i 's/\\r$//' FILE, or name its interpreter in the command"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_class_says_what_it_means_and_what_to_do() {
        for class in Class::BUILTIN {
            let help = class_help(class).unwrap_or_default();
            let (means, todo) = help.split_once(": ").unwrap_or_default();
            assert!(means.len() > 10 && todo.len() > 10, "{class}: {help}");
        }
        assert_eq!(class_help("one_of_mine"), None);
    }
}
