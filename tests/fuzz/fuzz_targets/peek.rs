//! Any bytes as JSON: what a full parse takes, the peek takes, and for the same. The peek may take more, since it does not
//! judge what lies deeper; edits are not looked at.
#![no_main]

use std::fmt;

use libfuzzer_sys::fuzz_target;
use pointsman::json::{self, Span, text};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| {
    let members: Result<Vec<_>, _> = json::members(bytes, Span::all(bytes)).collect();
    let elements: Result<Vec<_>, _> = json::elements(bytes, Span::all(bytes)).collect();
    if let Ok(Members(twin)) = serde_json::from_slice(bytes) {
        // The peek has a bound on depth that serde_json has as well, though another one.
        let members = members.unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!(members.len(), twin.len());
        for (found, (key, value)) in members.iter().zip(&twin) {
            assert_eq!(text::string(found.key.of(bytes)).as_deref(), Some(key.as_str()));
            assert_eq!(found.value.of(bytes), value.get().as_bytes());
            assert!(found.is(bytes, key));
        }
    }
    if let Ok(twin) = serde_json::from_slice::<Vec<&RawValue>>(bytes) {
        let elements = elements.unwrap_or_else(|fault| panic!("{fault:?}"));
        assert!(
            elements.iter().map(|span| span.of(bytes)).eq(twin.iter().map(|value| value.get().as_bytes()))
        );
    }
});

/// The members of an object in order, doubles as they stand.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(member) = map.next_entry()? {
                    found.push(member);
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}
