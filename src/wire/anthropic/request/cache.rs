//! `cache_control` of a block, a tool or a message: how long a prompt cache shall hold (wire.md 17).
//!
//! Read and written the same everywhere. How many marks are taken, and where, is the API's to judge.

use crate::json::{self, Span};
use crate::wire::ir::Ttl;

/// The lifetime that a `cache_control` asks for; `None` if it is no object with anything in it.
pub(super) fn read(value: &[u8]) -> Option<Ttl> {
    let mut ttl = None;
    for member in json::members(value, Span::all(value)).map_while(Result::ok) {
        let hour = member.is(value, "ttl") && member.value.of(value) == b"\"1h\"";
        ttl = if hour { Some(Ttl::Hour) } else { ttl.or(Some(Ttl::Default)) };
    }
    ttl
}

/// As a further member of an object; empty where there is none.
pub(super) fn member(cache: Option<Ttl>) -> &'static [u8] {
    match cache {
        None => b"",
        Some(Ttl::Default) => b",\"cache_control\":{\"type\":\"ephemeral\"}",
        Some(Ttl::Hour) => b",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        for ttl in [Some(Ttl::Default), Some(Ttl::Hour)] {
            let written = member(ttl).strip_prefix(b",\"cache_control\":").unwrap();
            assert_eq!(read(written), ttl);
        }
        for (value, ttl) in
            [("null", None), ("{}", None), (r#"{"ttl":"5m","type":"ephemeral"}"#, Some(Ttl::Default))]
        {
            assert_eq!(read(value.as_bytes()), ttl, "{value}");
        }
    }
}
