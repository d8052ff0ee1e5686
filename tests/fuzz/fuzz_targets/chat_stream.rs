//! Any bytes as a stream of Chat Completions. Looks for panics and broken laws, as told in the library; judges no content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::wire::Dialect;

fuzz_target!(|bytes: &[u8]| pointsman_fuzz::stream(Dialect::Chat, bytes));
