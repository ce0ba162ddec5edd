//! The Manager's rules, without a room in sight.
