# What is done often. `just` without a name lists it.

default:
    @just --list

# Everything that has to be green before a merge; the same as on the build machine
check:
    .ci/run

# The fast part of it
quick:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo test --workspace

# A daemon to play with
up *args:
    cargo run --release --example supervise -- up examples/supervise.toml {{args}}

# A command for it: `just s ps`
s *args:
    @cargo run --release --quiet --example supervise -- {{args}}

doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace --open
