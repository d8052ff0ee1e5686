//! Which of `temperature`, `top_p` and `top_k` a model refuses, by nature or because it thinks.
//!
//! Tells what goes; `shape` makes the edits. Values that change nothing stay where they are taken. Rules: wire.md 1.2,
//! and of `top_p` beside thinking the API's own words ("must be greater than or equal to 0.95 or unset").

use super::capability::Sampling;
use super::repair::Field;
use super::request::Ask;
use super::thinking::Thinks;
use crate::json::Member;

/// The parameters that go, each with its name.
pub(super) fn refused(ask: &Ask<'_>, takes: Sampling, thinks: Thinks) -> Vec<(Member, Field)> {
    let number = |member: Member| -> Option<f64> {
        std::str::from_utf8(member.value.of(ask.body)).ok().and_then(|number| number.parse().ok())
    };
    let is_one = |member: &Member| number(*member) == Some(1.0);
    let given = |member: Option<Member>| member.filter(|member| member.value.of(ask.body) != b"null");
    let (mut temperature, mut top_p, top_k) = (given(ask.temperature), given(ask.top_p), given(ask.top_k));
    let mut gone = Vec::new();
    let mut go = |member: Option<Member>, field| gone.extend(member.map(|member| (member, field)));
    if takes == Sampling::Fixed {
        go(temperature.filter(|at| !is_one(at)), Field::Temperature);
        go(top_p.filter(|at| !is_one(at)), Field::TopP);
        go(top_k, Field::TopK);
        return gone;
    }
    if thinks == Thinks::On {
        go(temperature.take_if(|at| !is_one(at)), Field::Temperature);
        go(top_p.take_if(|at| number(*at).is_none_or(|share| share < LEAST_TOP_P)), Field::TopP);
        go(top_k, Field::TopK);
    }
    if let (Sampling::Either, Some(degree), Some(share)) = (takes, temperature, top_p) {
        // A temperature of 1 says nothing: the other one is meant.
        if is_one(&degree) { go(temperature, Field::Temperature) } else { go(Some(share), Field::TopP) }
    }
    gone
}

/// Below this the API refuses `top_p` beside thinking.
const LEAST_TOP_P: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::super::request::Call;
    use super::*;

    #[test]
    fn a_parameter_that_is_refused_goes_and_no_other() {
        use Sampling::{Either, Fixed, Free};
        let (on, off) = (Thinks::On, Thinks::Off);
        for (takes, thinks, came, expected) in [
            (Fixed, off, r#""temperature":0.5,"top_p":0.9,"top_k":5"#, "temperature top_p top_k"),
            (Fixed, on, r#""temperature":1,"top_p":1.0,"top_k":null"#, ""),
            (Either, off, r#""temperature":0.5,"top_p":0.9,"top_k":5"#, "top_p"),
            (Either, off, r#""temperature":1.0,"top_p":0.9"#, "temperature"),
            (Either, off, r#""temperature":null,"top_p":0.9"#, ""),
            (Either, Thinks::Default(Some(false)), r#""top_k":5"#, ""),
            (Free, off, r#""temperature":0.5,"top_p":0.9,"top_k":5"#, ""),
            (Either, on, r#""temperature":0.5,"top_k":5"#, "temperature top_k"),
            // What stays of both is one only, with thinking too.
            (Either, on, r#""temperature":1,"top_p":0.97"#, "temperature"),
        ] {
            assert_eq!(names(takes, thinks, came), expected, "{takes:?} {thinks:?} {came}");
        }
    }

    #[test]
    fn a_low_top_p_does_not_go_out_beside_thinking() {
        for (came, expected) in [
            (r#""temperature":1,"top_p":0.5"#, "top_p"),
            (r#""top_p":0.94999"#, "top_p"),
            (r#""top_p":5e-1"#, "top_p"),
            (r#""top_p":0.95"#, ""),
            (r#""top_p":1"#, ""),
        ] {
            assert_eq!(names(Sampling::Either, Thinks::On, came), expected, "{came}");
        }
    }

    fn names(takes: Sampling, thinks: Thinks, came: &str) -> String {
        let body = format!(r#"{{"model":"m","messages":[],{came}}}"#);
        let ask = Ask::read(body.as_bytes(), Call::CountTokens).expect("a request");
        let gone = refused(&ask, takes, thinks);
        gone.iter().map(|(_, field)| field.name()).collect::<Vec<_>>().join(" ")
    }
}
