//! What is ours on the disk: the folder of a store, and how each file in it is opened.
//!
//! # Promises
//! - A folder that belongs to somebody else, that several users share, or that holds what is not ours is refused before
//!   anything in it is made, changed or read ([`claim`]).
//! - In a folder that was claimed, everything is a plain file or folder of ours or of root's ([`check_contents`]): the files that
//!   libraries open are looked at there, before they do.
//! - A file of ours is a plain file that belongs to us or to root. A link, a FIFO or somebody else's file in its place is an
//!   error that says so, and is neither written to nor waited for ([`open`]).
//!
//! # Non-promises
//! - Not against root, nor against other processes of our own user: they may do to the store what we may.
//! - The folders above the store are the administrator's.

mod file;
mod folder;
mod owner;

#[cfg(test)]
mod tests;

pub use self::{
    file::{copy, make_folder, open, options, read, read_text, write},
    folder::{FolderError, check_contents, claim},
};
