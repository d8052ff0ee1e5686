//! What a panic leaves behind: one line in the log instead of a trace in the middle of everything.
//!
//! A coroutine's panic is caught by whoever serves it, who asks for [`last_place`] and tells it with what was being
//! served. Plain threads carry names and catch nothing, so theirs is told at once. Ends nothing and repairs nothing.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

/// Sets the hook, for the whole process.
pub fn note() {
    std::panic::set_hook(Box::new(|info| match std::thread::current().name() {
        Some(name) => log::error!("the thread `{name}` panicked {}: {}", place(info), said(info)),
        None => PANICKED_AT.set(Some(place(info))),
    }));
}

/// Where this worker's last panic happened, once; empty: nobody noted it.
pub fn last_place() -> String {
    PANICKED_AT.take().unwrap_or_default()
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(|at| format!("at {}:{}", at.file(), at.line())).unwrap_or_default()
}

fn said<'i>(info: &'i PanicHookInfo<'_>) -> &'i str {
    info.payload_as_str().unwrap_or("without a message")
}

thread_local! {
    // Set by the hook and read where the panic is caught, with no wait between.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}
