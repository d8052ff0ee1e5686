//! Routing as its users see it: who is asked, in which order, and what rests.
//!
//! Whole requests against simulated providers; what one module does alone is tested beside it.

use super::testing::{ask, configured, furnished, house};
use crate::auth::Surface;

mod choice {
    //! Who is asked first.

    use super::*;

    #[test]
    fn a_name_leads_to_a_provider_and_a_model() {
        let house = furnished(
            "one 70 type=anthropic model=claude-sonnet-4-5; \
             two 30 type=anthropic_compatible base_url=http://x/v1 models={claude-haiku-*: small, claude-*: large}; \
             three 0 type=mock; \
             four 0 type=mock model=tiny; \
             five off type=anthropic; \
             six type=openai model=gpt-4o standby; \
             seven 0 type=gemini models={gemini-*: \"*\", \"*\": big}",
            "aliases: { claude-big: one/claude-opus-4-6, plain: tiny, long: \"one/claude-x[1m]\", \
                        three/claude: two/claude-y }",
        );
        let openai = ask("tiny").surface(Surface::OpenAi);
        for (what, ask, expected) in [
            (
                "a bare name goes by weight, as the provider's own model",
                ask("claude-opus-4-6"),
                "one as claude-sonnet-4-5",
            ),
            ("a pin by id takes the model behind it", ask("one/claude-opus-4-6"), "one as claude-opus-4-6"),
            ("a pin passes by `models`", ask("two/claude-haiku-4-5"), "two as claude-haiku-4-5"),
            ("a pin takes a provider without weight", ask("three/any"), "three as any"),
            (
                "the model behind a pin may hold slashes",
                ask("two/meta-llama/llama-4"),
                "two as meta-llama/llama-4",
            ),
            ("a pin by type", ask("anthropic_compatible/x"), "two as x"),
            ("a pin by type takes those without weight", ask("mock/y"), "three as y"),
            ("a pin to a disabled provider", ask("five/x"), "404"),
            ("a pin to a type that speaks another dialect", ask("openai/gpt-5"), "six as gpt-5"),
            ("a pin passes by a model that is as asked", ask("seven/gemini-2"), "seven as gemini-2"),
            ("a pin without a model", ask("one/"), "404"),
            ("[1m] is taken off", ask("one/claude-opus-4-6[1m]"), "one as claude-opus-4-6"),
            ("[1M] too", ask("one/claude-opus-4-6[1M]"), "one as claude-opus-4-6"),
            ("an alias for a pin", ask("claude-big"), "one as claude-opus-4-6"),
            ("an alias with [1m] behind it", ask("claude-big[1m]"), "one as claude-opus-4-6"),
            ("an alias for a bare name that a provider has", ask("plain"), "four as tiny"),
            ("aliases come before pins", ask("three/claude"), "two as claude-y"),
            ("a bare name that is a provider's model prefers it", ask("tiny"), "four as tiny"),
            ("on the other surfaces it does not", openai, "one as claude-sonnet-4-5"),
            (
                "an unknown word before a slash is part of the name",
                ask("who/claude-x"),
                "one as claude-sonnet-4-5",
            ),
            ("ids are exact", ask("One/claude-x"), "one as claude-sonnet-4-5"),
        ] {
            assert_eq!(house.first(ask), expected, "{what}");
        }
    }

    #[test]
    fn a_preferred_provider_is_followed_by_the_others() {
        let house = house("a 70; b 30; gpt 0 type=mock model=gpt-4o; off off type=mock model=gpt-4o");
        assert_eq!(house.order("gpt-4o"), "gpt, a, b");
        assert_eq!(house.order(ask("gpt-4o").session("s")), "gpt, a, b");
        assert_eq!(house.left_out("gpt-4o"), "off: disabled");
    }

    #[test]
    fn a_name_that_begins_with_claude_prefers_nobody() {
        let house = house("a 70; b 1 model=claude-haiku-4-5");
        assert_eq!(house.first("claude-haiku-4-5"), "a as claude-haiku-4-5");
    }

    #[test]
    fn a_type_that_the_account_lacks_is_told_with_what_exists() {
        let house = house("main; other type=mock; gone off type=gemini");
        let error = house.plan(ask("bedrock/claude-sonnet-4-6")).unwrap_err();
        assert_eq!(error.kind.status(), 404);
        for part in ["`bedrock`", "`main`, `other`", "`anthropic`, `mock`"] {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
        assert!(!error.message.contains("gemini"), "{}", error.message);
    }

    #[test]
    fn a_type_may_be_part_of_a_name_where_names_hold_slashes() {
        let with = |enabled: &str| {
            house(&format!("a; c 0 type=anthropic_compatible base_url=http://x/v1 {enabled}"))
        };
        assert_eq!(with("").first("mistral/large"), "a as mistral/large");
        assert_eq!(with("off").first("mistral/large"), "404");
    }

    #[test]
    fn the_million_token_window_is_handed_on() {
        let house = furnished("a; b standby model=\"claude-y[1m]\"", "aliases: { long: \"a/claude-x[1m]\" }");
        for (model, expected) in
            [("claude-x", false), ("claude-x[1m]", true), ("long", true), ("b/claude-z", false)]
        {
            let mut plan = house.plan(ask(model)).unwrap();
            let super::super::Next::Try(candidate) = plan.next(house.now) else { panic!("{model}") };
            assert_eq!((candidate.context_1m, candidate.model.contains('[')), (expected, false), "{model}");
        }
        let mut house = house;
        house.is("a", "500");
        let mut plan = house.plan(ask("claude-x")).unwrap();
        let super::super::Next::Try(first) = plan.next(house.now) else { panic!() };
        plan.failed(&first, &super::super::testing::failure("500").unwrap(), house.now);
        let super::super::Next::Try(second) = plan.next(house.now) else { panic!() };
        assert_eq!((second.model, second.context_1m, second.renamed), ("claude-y", true, true));
    }

    #[test]
    fn those_that_may_not_be_asked_are_told_with_the_reason() {
        let house = furnished(
            "a 70; b 30 off; c 0; d type=openai standby; e models={gpt-*: x}; \
             f api_keys=[{id: k, key: sk-k, models: [other]}]; g; h standby",
            "virtual_keys: [{ id: k, key: secret, allow: { providers: [a, b, c, d, e, f, h] } }]",
        );
        let ask = ask("claude-x").key("secret");
        assert_eq!(house.order(ask), "a, d, h");
        assert_eq!(
            house.left_out(ask),
            "b: disabled; e: its `models` do not offer the model; \
             f: none of its keys may be used for the model; g: the key may not use it; \
             c: weight 0: asked only by a pin"
        );
    }

    #[test]
    fn embeddings_are_asked_of_those_who_offer_them() {
        let house = house("a 70; b 30 type=openai; c standby type=gemini");
        let embeddings = ask("text-embedding-3-small").surface(Surface::OpenAi).embeddings();
        assert_eq!(house.order(embeddings), "b, c");
        assert_eq!(house.left_out(embeddings), "a: it offers no embeddings");
        let refused = house.plan(ask("a/claude-x").surface(Surface::OpenAi).embeddings()).unwrap_err();
        assert_eq!(refused.kind.status(), 501, "{}", refused.message);
        assert!(refused.message.contains("`a`: it offers no embeddings"), "{}", refused.message);
    }

    #[test]
    fn images_go_to_those_who_take_them_if_there_is_one() {
        let house = house("a 70 type=deepseek; b 30; c standby type=openai");
        assert_eq!(house.order("claude-x"), "a, b, c");
        assert_eq!(house.order(ask("claude-x").images()), "b, c");
        assert_eq!(house.left_out(ask("claude-x").images()), "a: it takes no images");
        // The rest of the conversation is better than nothing.
        assert_eq!(house.order(ask("a/deepseek-chat").images()), "a");
    }

    #[test]
    fn a_model_may_be_the_clients_own() {
        let house = house("a type=openai models={gpt-*: \"*\", \"*\": gpt-5}");
        assert_eq!(house.first("gpt-4o"), "a as gpt-4o");
        assert_eq!(house.first("claude-x"), "a as gpt-5");
    }

    #[test]
    fn nobody_is_left() {
        let narrow = "a; b models={gpt-*: x}; c api_keys=[{id: k, key: sk, models: [other]}]; d off; e";
        for (what, model, allowed, status) in [
            ("the one that offers it is not allowed", "claude-x", "b, c, d", 403),
            ("no key may be used for the pinned model", "c/x", "a, b, c, d, e", 404),
            ("it is disabled", "d/x", "a, b, c, d, e", 404),
            ("the key may not use any", "claude-x", "d", 403),
            ("the pinned one is not allowed", "a/x", "b", 403),
            ("the pinned type is not allowed", "anthropic/x", "d", 403),
        ] {
            let key =
                format!("virtual_keys: [{{ id: k, key: secret, allow: {{ providers: [{allowed}] }} }}]");
            let error = furnished(narrow, &key).plan(ask(model).key("secret")).unwrap_err();
            assert_eq!(error.kind.status(), status, "{what}: {}", error.message);
        }
        for (what, providers) in [
            ("no `models` offer it", "a models={gpt-*: x}; b standby models={gpt-*: x}"),
            ("no key may be used for it", "a api_keys=[{id: k, key: sk, models: [other]}]"),
        ] {
            let error = house(providers).plan(ask("claude-x")).unwrap_err();
            assert_eq!(error.kind.status(), 404, "{what}: {}", error.message);
        }
    }

    #[test]
    fn a_conversation_goes_where_it_fits() {
        let house = house("a 70 model=small; b 20 model=unknown; c 10 model=large");
        assert_eq!(house.order(ask("x").tokens(1_000)), "a, b, c");
        assert_eq!(house.order(ask("x").tokens(1_001)), "b, c");
        assert_eq!(
            house.left_out(ask("x").tokens(1_001)),
            "a: the conversation does not fit its window of 1000 tokens"
        );
        let small = super::house("a 70 model=small; b 30 model=small");
        assert_eq!(small.order(ask("x").tokens(5_000)), "a, b");
    }

    #[test]
    fn a_key_of_another_account_sees_its_own_providers() {
        let house = configured(
            "accounts:
  - { id: one, providers: [{ id: a, type: mock }] }
  - { id: two, providers: [{ id: b, type: mock }] }
virtual_keys:
  - { id: k1, key: secret-1, account: one }
  - { id: k2, key: secret-2, account: two }",
        );
        assert_eq!(house.order(ask("m").key("secret-1")), "a");
        assert_eq!(house.order(ask("m").key("secret-2")), "b");
        assert_eq!(house.order(ask("a/m").key("secret-2")), "b");
    }
}

mod shares {
    //! Weights.

    use std::collections::BTreeMap;

    use super::*;
    use crate::route::Next;
    use crate::route::testing::{House, name};

    fn firsts(house: &House, asks: u32, session: impl Fn(u32) -> Option<String>) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for i in 0..asks {
            let session = session(i);
            let ask = super::super::testing::Ask { session: session.as_deref(), ..ask("claude-x") };
            let mut plan = house.plan(ask).unwrap();
            let Next::Try(candidate) = plan.next(house.now) else { panic!() };
            *counts.entry(name(&candidate)).or_default() += 1;
        }
        counts
    }

    #[test]
    fn without_sessions_they_are_exact() {
        for (providers, asks, expected) in [
            ("a 70; b 30", 10, vec![("a", 7), ("b", 3)]),
            ("a 70; b 30", 1000, vec![("a", 700), ("b", 300)]),
            ("a 0.7; b 0.3", 10, vec![("a", 7), ("b", 3)]),
            ("a 1; b 1; c 1", 300, vec![("a", 100), ("b", 100), ("c", 100)]),
            ("a 2; b 1; c 0; d standby; e 9 off", 300, vec![("a", 200), ("b", 100)]),
            ("a 3 keys=k,l:3; b 1", 400, vec![("a#k", 75), ("a#l", 225), ("b", 100)]),
        ] {
            let counts = firsts(&house(providers), asks, |_| None);
            let counts: Vec<(&str, u32)> = counts.iter().map(|(id, n)| (id.as_str(), *n)).collect();
            assert_eq!(counts, expected, "{providers}");
        }
    }

    #[test]
    fn with_affinity_none_sessions_do_not_matter() {
        let house = furnished("a 70; b 30", "routing: { affinity: none }");
        let counts = firsts(&house, 1000, |_| Some("the same".to_owned()));
        assert_eq!((counts["a"], counts["b"]), (700, 300));
    }

    #[test]
    fn over_a_thousand_sessions_they_hold_within_five_points() {
        for (providers, expected) in [
            ("a 70; b 30", vec![("a", 70.0), ("b", 30.0)]),
            ("a 1; b 1; c 1", vec![("a", 100.0 / 3.0), ("b", 100.0 / 3.0), ("c", 100.0 / 3.0)]),
            ("a 90; b 9; c 1; d 0; e standby", vec![("a", 90.0), ("b", 9.0), ("c", 1.0)]),
            (
                "a 1 keys=k:7,l:3; b 1 keys=k,l",
                vec![("a#k", 35.0), ("a#l", 15.0), ("b#k", 25.0), ("b#l", 25.0)],
            ),
        ] {
            let house = house(providers);
            // The shape of Claude Code's ids, and the worst case: ids that differ in a counter only.
            let forms: [fn(u32) -> String; 2] = [
                |i| format!("{:08x}-5717-4562-b3fc-2c963f66afa6", i.wrapping_mul(0x9E37_79B9)),
                |i| i.to_string(),
            ];
            for form in forms {
                let counts = firsts(&house, 1000, |i| Some(form(i)));
                for (id, share) in &expected {
                    let got = f64::from(*counts.get(*id).unwrap_or(&0)) / 10.0;
                    assert!((got - share).abs() < 5.0, "{providers}: {id} has {got} % and not {share} %");
                }
                assert_eq!(counts.values().sum::<u32>(), 1000);
                assert_eq!(counts.len(), expected.len());
            }
        }
    }

    #[test]
    fn a_session_keeps_its_provider_and_key_when_others_come_and_go() {
        let before = house("a 1 keys=k,l; b 1; c 1");
        let mut after = house("a 1 keys=k,l; b 1; c 1");
        after.reload("a 1 keys=k,l; b 1; d 1");
        let of = |house: &House, i: u32| {
            let id = format!("session-{i}");
            let mut plan = house.plan(ask("claude-x").session(&id)).unwrap();
            let Next::Try(candidate) = plan.next(house.now) else { panic!() };
            name(&candidate)
        };
        for i in 0..300 {
            let (old, new) = (of(&before, i), of(&after, i));
            assert!(old == new || old == "c" || new == "d", "session {i} went from {old} to {new}");
            assert_eq!(old, of(&before, i));
        }
    }

    #[test]
    fn while_one_rests_the_others_share_its_requests() {
        let mut house = house("a 60; b 30; c 10");
        house.is("a", "500");
        house.send(ask("x"));
        house.is("a", "ok");
        let counts = firsts(&house, 400, |_| None);
        assert_eq!((counts.get("a"), counts["b"], counts["c"]), (None, 300, 100));
    }
}

mod failover {
    //! Who follows.

    use super::*;
    use crate::route::Next;
    use crate::route::testing::failure;

    #[test]
    fn the_others_follow_by_weight_and_standby_last() {
        let mut house = furnished("s standby; b 20; a 70; c 10", "retry: { attempts: 9 }");
        for id in ["a", "b", "c", "s"] {
            house.is(id, "500");
        }
        house.ask("x", "a:500, b:500, c:500, s:500 | asked");
    }

    #[test]
    fn what_is_asked_after_which_answer() {
        for (answer, expected) in [
            ("connect", "a:connect, b:ok"),
            ("tls", "a:tls, b:ok"),
            ("reset", "a:reset, b:ok"),
            ("first_byte", "a:first_byte_timeout, b:ok"),
            ("unreadable", "a:unreadable, b:ok"),
            ("total", "a:total_timeout, b:ok"),
            ("401", "a:401, b:ok"),
            ("403", "a:403, b:ok"),
            ("402", "a:402, b:ok"),
            ("404", "a:404, b:ok"),
            ("408", "a:408, b:ok"),
            ("409", "a:409, b:ok"),
            ("429", "a:429, b:ok"),
            ("500", "a:500, b:ok"),
            ("529", "a:529, b:ok"),
            ("508", "a:508, b:ok"),
            ("empty", "a:unreadable, b:ok"),
            ("400", "a:400 | client"),
            ("413", "a:413 | client"),
            ("422", "a:422 | client"),
            ("field", "a:400 | client"),
            ("signature", "a:400 | client"),
        ] {
            house("a; b standby").is("a", answer).ask("x", expected);
        }
    }

    #[test]
    fn a_pin_is_not_left() {
        house("a 70; b 30").is("a", "404").ask("a/x", "a:404 | asked").ask("b/x", "b:ok");
        house("a 70; m 30 type=mock; n 10 type=mock").is("m", "404").ask("mock/x", "m:404, n:ok");
    }

    #[test]
    fn attempts_are_bounded() {
        let many = "a 5; b 4; c 3; d 2; e 1";
        for (attempts, expected) in [
            (1, "a:500 | attempts"),
            (2, "a:500, b:500 | attempts"),
            (4, "a:500, b:500, c:500, d:500 | attempts"),
        ] {
            let mut house = furnished(many, &format!("retry: {{ attempts: {attempts} }}"));
            for id in ["a", "b", "c", "d", "e"] {
                house.is(id, "500");
            }
            house.ask("x", expected);
        }
    }

    #[test]
    fn a_lone_provider_is_asked_again() {
        house("a").is("a", "500").ask("x", "a:500, wait 0.5, a:500, wait 1, a:500, wait 2, a:500 | attempts");
        house("a")
            .is("a", "429/3")
            .ask("x", "a:429, wait 3, a:429, wait 3, a:429, wait 3, a:429 | attempts after 3");
        house("a").is("a", "409").ask("x", "a:409, wait 0.5, a:409, wait 1, a:409, wait 2, a:409 | attempts");
        let impatient = || furnished("a", "retry: { max_wait: 700ms }");
        impatient()
            .is("a", "500")
            .ask("x", "a:500, wait 0.5, a:500, wait 0.7, a:500, wait 0.7, a:500 | attempts");
        impatient().is("a", "429/1").ask("x", "a:429 | toolong after 1");
        house("a").is("a", "429/11").ask("x", "a:429 | toolong after 11");
        house("a").is("a", "401").ask("x", "a:401 | asked");
        house("a").is("a", "404").ask("x", "a:404 | asked");
        house("a").is("a", "total").ask("x", "a:total_timeout | asked");
    }

    #[test]
    fn a_provider_is_alone_when_the_others_cannot_help() {
        let mut house = house("a; b standby");
        house.is("a", "500").is("b", "401").ask("x", "a:500, b:401 | asked");
        house.after(1.0).ask("x", "a:500, wait 0.5, a:500, wait 1, a:500, wait 2, a:500 | attempts");
        let mut house = super::house("a; b standby");
        house.is("b", "429/60").ask("b/x", "b:429 | toolong after 60");
        house
            .is("a", "529")
            .after(1.0)
            .is("b", "ok")
            .ask("x", "a:529, wait 0.5, a:529, wait 1, a:529, wait 2, a:529 | attempts after 55.5");
    }

    #[test]
    fn no_key_is_asked_twice_unless_it_is_alone() {
        let mut house = house("a keys=k:9,l:1");
        house.is("a#k", "429/30").is("a#l", "429/20").ask("x", "a#k:429, a#l:429 | asked after 20");
        let mut house = super::house("a keys=k:9,l:1");
        house.is("a#k", "401").is("a#l", "429/2");
        house.ask("x", "a#k:401, a#l:429, wait 2, a#l:429, wait 2, a#l:429 | attempts after 2");
        let mut house = super::house("a keys=k:9,l:1; b standby");
        house.is("a#k", "429/30").ask("x", "a#k:429, a#l:ok").ask("x", "a#l:ok");
        house.is("a#l", "402").ask("x", "a#l:402, b:ok").ask("x", "b:ok");
        let mut house = super::house("a keys=k:9,l:1");
        house
            .is("a", "500")
            .ask("x", "a#k:500, wait 0.5, a#l:500, wait 1, a#l:500, wait 2, a#l:500 | attempts");
    }

    #[test]
    fn keys_serve_their_models_only() {
        let mut house = house(
            "a api_keys=[{id: k, key: sk-k, weight: 9, models: [opus*]}, {id: l, key: sk-l}]; b standby",
        );
        house.ask("opus-4", "a#k:ok").ask("haiku-4", "a#l:ok");
        house.is("a#l", "401").ask("haiku-4", "a#l:401, b:ok").ask("haiku-4", "b:ok").ask("opus-4", "a#k:ok");
    }

    #[test]
    fn what_does_not_fit_goes_to_a_larger_window() {
        let three = "a 70 model=medium; b 20 model=small; c 10 model=large";
        house(three).is("a", "overflow").ask("x", "a:400, c:ok");
        house(three).is("a", "overflow").is("c", "overflow").ask("x", "a:400, c:400 | overflow");
        house(three)
            .is("a", "overflow")
            .is("c", "500")
            .ask("x", "a:400, c:500, wait 0.5, c:500, wait 1, c:500 | attempts");
        house("a 70 model=unknown; b 30 model=large").is("a", "overflow").ask("x", "a:400, b:ok");
        house("a 70 model=large; b 30 model=unknown").is("a", "overflow").ask("x", "a:400 | overflow");
    }

    #[test]
    fn what_a_provider_tells_of_its_window_counts_for_more_than_its_models_table() {
        // The same model elsewhere may have the whole of its window.
        let same = "a 70 model=large; b 30 model=large";
        house(same).is("a", "overflow 250000>200000").ask("x", "a:400, b:ok");
        house(same).is("a", "overflow").ask("x", "a:400 | overflow");
        house(same).is("a", "overflow 1100000>200000").ask("x", "a:400 | overflow");
        house(same).is("a", "overflow >200000").ask("x", "a:400, b:ok");
        // More than the table says.
        house("a 70 model=small; b 30 model=medium")
            .is("a", "overflow 350000>300000")
            .ask("x", "a:400 | overflow");
        house("a 70 model=small; b 30 model=medium").is("a", "overflow >300000").ask("x", "a:400 | overflow");
        // What is needed, of a model that nobody has described.
        let three = "a 50 model=unknown; b 30 model=small; c 20 model=large";
        house(three).is("a", "overflow 1500>").ask("x", "a:400, c:ok");
        house(three).is("a", "overflow 1500>1200").ask("x", "a:400, c:ok");
        house("a 70 model=large; b 30 model=unknown")
            .is("a", "overflow 2000>1000")
            .ask("x", "a:400 | overflow");
    }

    #[test]
    fn the_large_window_counts_where_it_is_asked_for() {
        let two = "a 70 model=medium; b 30 model=\"medium[1m]\"";
        house(two).is("a", "overflow").ask("x", "a:400, b:ok");
        house(two).is("a", "overflow").ask("x[1m]", "a:400 | overflow");
        let unknown = "a 70 model=medium; b 30 model=";
        house(&format!("{unknown}other")).is("a", "overflow").ask("x", "a:400 | overflow");
        house(&format!("{unknown}other")).is("a", "overflow >200000").ask("x[1m]", "a:400 | overflow");
        house(&format!("{unknown}\"other[1m]\"")).is("a", "overflow").ask("x", "a:400, b:ok");
        let header = "a 70 model=medium; b 30 model=medium headers={anthropic-beta: context-1m-2025-08-07}";
        house(header).is("a", "overflow").ask("x", "a:400, b:ok");
    }

    #[test]
    fn a_reason_for_leaving_one_out_after_an_overflow_is_true() {
        for (answer, reasons) in [
            (
                "overflow 250000>200000",
                "b: the conversation does not fit its window of 1000 tokens; \
                 c: the conversation does not fit its window of 200000 tokens; \
                 e: its model's window is not known to be larger",
            ),
            (
                "overflow",
                "b: its window of 1000 tokens is no larger than the one that was too small; \
                 c: its window of 200000 tokens is no larger than the one that was too small; \
                 d: its window of 1000000 tokens is no larger than the one that was too small; \
                 e: its model's window is not known to be larger",
            ),
        ] {
            let house = house("a 50 model=large; b 20 model=small; c 15 model=medium; d 10 model=large; e 5");
            let mut plan = house.plan(ask("x")).unwrap();
            let Next::Try(candidate) = plan.next(house.now) else { panic!() };
            plan.failed(&candidate, &failure(answer).unwrap(), house.now);
            let told: Vec<String> =
                plan.left_out().iter().map(|l| format!("{}: {}", l.provider, l.reason)).collect();
            assert_eq!(told.join("; "), reasons, "{answer}");
        }
    }

    #[test]
    fn a_format_that_cannot_carry_the_request_rests_nobody_and_the_next_one_is_asked() {
        let mut one = house("a");
        one.is("a", "unable").ask("x", "a:unable | asked").is("a", "ok").ask("x", "a:ok");
        house("a keys=k:9,l:1").is("a", "unable").ask("x", "a#k:unable | asked");
        let mut two = house("a; b standby");
        two.is("a", "unable").ask("x", "a:unable, b:ok").ask("x", "a:unable, b:ok");
        two.is("b", "unable").ask("x", "a:unable, b:unable | asked");
    }

    #[test]
    fn a_loop_rests_nobody_and_is_not_walked_twice() {
        let mut one = house("a");
        one.is("a", "508").ask("x", "a:508 | asked").is("a", "ok").ask("x", "a:ok");
        house("a keys=k:9,l:1").is("a", "508").ask("x", "a#k:508 | asked");
        let mut two = house("a; b standby");
        two.is("a", "508").ask("x", "a:508, b:ok").ask("x", "a:508, b:ok");
        two.is("b", "508").ask("x", "a:508, b:508 | asked");
        two.is("b", "500").ask("x", "a:508, b:500, wait 0.5, b:500, wait 1, b:500 | attempts");
    }
}

mod rests {
    //! What rests after a failure, and for how long.

    use super::*;
    use crate::route::Next;
    use crate::route::testing::{House, failure};

    #[test]
    fn a_429_rests_the_key_for_that_model_as_long_as_it_says() {
        let mut house = house("a; b standby");
        house.is("a", "429/30").ask("x", "a:429, b:ok").is("a", "ok");
        house.after(29.9).ask("x", "b:ok").ask("y", "a:ok").after(0.1).ask("x", "a:ok");
    }

    #[test]
    fn a_429_rests_ten_minutes_at_most() {
        let mut house = house("a; b standby");
        house.is("a", "429/86400").ask("x", "a:429, b:ok").is("a", "ok");
        house.after(599.9).ask("x", "b:ok").after(0.1).ask("x", "a:ok");
    }

    #[test]
    fn a_429_without_a_time_rests_longer_each_time() {
        let mut house = house("a; b standby");
        house.is("a", "429");
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            house.ask("x", "a:429, b:ok").after(seconds - 0.01).ask("x", "b:ok").after(0.01);
        }
        house
            .is("a", "ok")
            .ask("x", "a:ok")
            .is("a", "429")
            .ask("x", "a:429, b:ok")
            .after(1.0)
            .ask("x", "a:429, b:ok");
    }

    #[test]
    fn a_broken_provider_rests_from_one_second_to_sixty() {
        for answer in ["connect", "500", "529", "reset", "first_byte", "unreadable"] {
            let mut house = house("a; b standby");
            house.is("a", answer);
            for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
                let told = house.send(ask("x"));
                assert!(told.starts_with("a:"), "{answer} before {seconds}: {told}");
                house.after(seconds - 0.01).ask("x", "b:ok").ask("y", "b:ok").after(0.01);
            }
            house.is("a", "ok").ask("x", "a:ok").ask("x", "a:ok");
        }
    }

    #[test]
    fn a_refused_key_rests_up_to_five_minutes() {
        for answer in ["401", "402"] {
            let mut house = house("a; b standby");
            house.is("a", answer);
            for seconds in [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
                let told = house.send(ask("x"));
                assert!(told.starts_with("a:"), "{answer} before {seconds}: {told}");
                house.after(seconds - 0.01).ask("x", "b:ok").ask("y", "b:ok").after(0.01);
            }
        }
    }

    #[test]
    fn a_refused_provider_without_keys_rests_itself() {
        let mut house =
            house("a type=anthropic_compatible base_url=http://x/v1 api_keys=[{id: k, key: s}]; b standby");
        house.is("a", "401").ask("x", "a:401, b:ok").ask("x", "b:ok");
        let mut house = super::house("a type=mock; b standby");
        house.is("a", "401");
        for seconds in [5.0, 10.0, 20.0] {
            house.ask("x", "a:401, b:ok").after(seconds - 0.01).ask("x", "b:ok").after(0.01);
        }
    }

    #[test]
    fn a_provider_whose_every_key_is_refused_is_not_usable() {
        let usable = |house: &House| house.table.usable(&house.snapshot, house.now);
        for answer in ["401", "402"] {
            let mut lone = house("a; b off");
            assert_eq!(usable(&lone), 1);
            lone.is("a", answer).send(ask("x"));
            assert_eq!(usable(&lone), 0, "{answer}");
            lone.after(5.0);
            assert_eq!(usable(&lone), 1, "{answer}: its rest is over");
        }
        let mut pool = house("a keys=k:9,l:1");
        pool.is("a#k", "401").ask("x", "a#k:401, a#l:ok");
        assert_eq!(usable(&pool), 1, "one key is left");
        pool.is("a#l", "401").ask("x", "a#l:401 | asked");
        assert_eq!(usable(&pool), 0);
        let mut keyless = house("a type=mock");
        keyless.is("a", "401").send(ask("x"));
        assert_eq!(usable(&keyless), 0);
        // A limit is for a model and soon over.
        let mut limited = house("a");
        limited.is("a", "429/60").send(ask("x"));
        assert_eq!(usable(&limited), 1);
    }

    #[test]
    fn an_unknown_model_rests_there_and_no_other() {
        let mut house = house("a; b standby");
        house
            .is("a=x", "404")
            .ask("x", "a:404, b:ok")
            .ask("x", "b:ok")
            .ask("y", "a:ok")
            .after(9.9)
            .ask("x", "b:ok");
        house.is("a=x", "ok").after(0.1).ask("x", "a:ok").ask("x", "a:ok");
    }

    #[test]
    fn client_faults_rest_nothing() {
        for answer in ["400", "413", "field", "signature", "408", "409", "total", "overflow"] {
            let mut house = house("a; b standby model=large");
            house.is("a", answer);
            house.send(ask("x"));
            house.is("a", "ok").ask("x", "a:ok");
        }
    }

    #[test]
    fn one_probe_at_a_time_finds_out_whether_it_works_again() {
        let mut house = house("a; b standby");
        house.is("a", "500").ask("x", "a:500, b:ok").after(1.0);
        let asked = || match house.plan(ask("x")).unwrap().next(house.now) {
            Next::Try(candidate) => candidate.provider.id.clone(),
            other => panic!("{other:?}"),
        };
        let mut plan = house.plan(ask("x")).unwrap();
        let Next::Try(probe) = plan.next(house.now) else { panic!() };
        assert_eq!(probe.provider.id, "a");
        assert_eq!(asked(), "b", "while the probe is under way");
        assert_eq!(house.left_out("x"), "a: another request is finding out whether it works again");
        drop(probe);
        assert_eq!(asked(), "a", "a probe that was given up lets the next one try");
        let mut plan = house.plan(ask("x")).unwrap();
        let Next::Try(probe) = plan.next(house.now) else { panic!() };
        plan.succeeded(&probe, house.now);
        assert_eq!(asked(), "a", "after its first content, while its stream goes on");
        drop(probe);
        assert_eq!(asked(), "a");
    }

    #[test]
    fn a_refusal_proves_that_a_provider_works_again() {
        let mut house = house("a; b standby");
        house.is("a", "500").ask("x", "a:500, b:ok").after(1.0).ask("x", "a:500, b:ok").after(2.0);
        house.is("a", "400").ask("x", "a:400 | client");
        house.is("a", "500").ask("x", "a:500, b:ok").after(1.0).ask("x", "a:500, b:ok");
    }

    #[test]
    fn an_answer_to_an_earlier_request_ends_no_rest() {
        for answer in ["500", "429/30", "404", "401"] {
            let mut house = house("a; b standby");
            let start = house.now;
            house.after(1.0);
            let late = house.now;
            let mut early = house.plan_at(ask("x"), start).unwrap();
            let Next::Try(candidate) = early.next(start) else { panic!() };
            let mut failing = house.plan_at(ask("x"), late).unwrap();
            let Next::Try(bad) = failing.next(late) else { panic!() };
            failing.failed(&bad, &failure(answer).unwrap(), late);
            early.succeeded(&candidate, late);
            drop((bad, candidate));
            assert!(house.left_out("x").contains("rests"), "{answer}: {}", house.left_out("x"));
        }
    }

    #[test]
    fn failures_of_requests_under_way_do_not_make_a_rest_grow() {
        let mut house = house("a; b standby");
        let mut plans: Vec<_> = (0..5).map(|_| house.plan(ask("x")).unwrap()).collect();
        let now = house.now;
        let candidates: Vec<_> = plans
            .iter_mut()
            .map(|p| match p.next(now) {
                Next::Try(c) => c,
                other => panic!("{other:?}"),
            })
            .collect();
        for (plan, candidate) in plans.iter_mut().zip(&candidates) {
            plan.failed(candidate, &failure("500").unwrap(), now);
        }
        drop((candidates, plans));
        house.after(0.99).ask("x", "b:ok").after(0.01).ask("x", "a:ok");
    }

    #[test]
    fn when_all_said_when_to_come_back_that_is_the_answer() {
        let mut house = house("a; b standby");
        house.is("a", "429/30").is("b", "429/20").ask("x", "a:429, b:429 | asked after 20");
        house.after(5.0).ask("x", "429 after 15").ask("y", "a:429, b:429 | asked after 20");
        house.after(14.5).ask("x", "429 after 1").after(0.5).is("b", "ok").ask("x", "b:ok");
        let mut house = super::house("a; b standby");
        house
            .is("a", "503/30")
            .is("b", "429/40")
            .ask("x", "a:503, b:429 | asked after 30")
            .ask("x", "503 after 30");
        let mut house = super::house("a");
        house.is("a", "429/60").ask("x", "a:429 | toolong after 60").after(1.0).ask("x", "429 after 59");
    }

    #[test]
    fn else_the_one_whose_rest_ends_first_is_asked() {
        let mut house = house("a; b standby");
        house.is("a", "500").is("b", "500").ask("x", "a:500, b:500 | asked").is("b", "ok");
        house.after(0.5).ask("x", "a:500, b:ok");
        let mut house = super::house("a; b standby");
        house
            .is("a", "500")
            .ask("x", "a:500, b:ok")
            .after(0.4)
            .is("b", "500")
            .ask("x", "b:500, a:500 | asked");
        let mut house = super::house("a; b standby");
        house.is("a", "401").is("b", "401").ask("x", "a:401, b:401 | asked").is("a", "ok").ask("x", "a:ok");
        let mut house = super::house("a; b standby");
        house.is("a", "500").is("b", "429/30").ask("x", "a:500, b:429 | asked after 30");
        house.is("a", "ok").ask("x", "a:ok");
    }

    #[test]
    fn rests_outlive_a_reload() {
        let mut house = house("a; b standby; c standby");
        house.is("a", "500").is("b", "429/30").ask("x", "a:500, b:429, c:ok");
        house.reload("a; b standby; c standby; d standby").ask("x", "c:ok");
        house
            .reload("a base_url=http://elsewhere/v1; b standby api_key=another; c standby")
            .is("b", "ok")
            .ask("x", "a:500, b:ok");
        let registry = std::sync::Arc::clone(&house.registry);
        house.reload("z").reload("a; z standby").is("a", "ok");
        assert!(registry.moves().is_empty());
        house.ask("x", "a:ok");
    }
}

mod sessions {
    //! Where sessions stay.

    use super::*;

    #[test]
    fn a_session_moved_by_failover_stays_while_its_cache_lives() {
        let mut house = house("a 50; b 50");
        let id = house.session_at("a");
        let turn = ask("claude-x").session(&id);
        house.ask(turn, "a:ok").is("a", "500").ask(turn, "a:500, b:ok").is("a", "ok").after(60.0);
        house.ask(turn, "b:ok").ask(turn.in_a_loop(), "b:ok");
        house.after(299.0).ask(turn, "b:ok");
        house.after(300.0).ask(turn.in_a_loop(), "b:ok");
        house.after(299.0).ask(turn, "b:ok").after(300.0).ask(turn, "a:ok").ask(turn, "a:ok");
    }

    #[test]
    fn the_other_sessions_are_not_moved() {
        let mut house = house("a 50; b 50");
        let (id, other) = (house.session_at("a"), house.session_at("b"));
        house.is("a", "500").ask(ask("claude-x").session(&id), "a:500, b:ok").is("a", "ok").after(2.0);
        house.ask(ask("claude-x").session(&other), "b:ok");
        // Caches belong to a model.
        house.ask(ask("claude-x").session(&id), "b:ok").ask(ask("claude-y").session(&id), "a:ok");
    }

    #[test]
    fn another_key_of_the_same_provider_comes_first_and_is_kept() {
        let mut house = house("a 50 keys=k,l; b 50");
        let id = house.session_at("a#k");
        let turn = ask("claude-x").session(&id);
        house
            .is("a#k", "429/10")
            .ask(turn, "a#k:429, a#l:ok")
            .is("a#k", "ok")
            .after(20.0)
            .ask(turn, "a#l:ok");
        house.after(301.0).ask(turn, "a#k:ok");
    }

    #[test]
    fn a_pinned_session_keeps_its_key_as_well() {
        let mut house = house("a 50 keys=k,l; b 50");
        let id = house.session_at("a#k");
        let pinned = ask("a/claude-x").session(&id);
        house
            .is("a#k", "429/10")
            .ask(pinned, "a#k:429, a#l:ok")
            .is("a#k", "ok")
            .after(20.0)
            .ask(pinned, "a#l:ok");
        house.ask(ask("claude-x").session(&id), "a#k:ok").ask(pinned, "a#l:ok");
    }

    #[test]
    fn a_session_goes_on_where_its_refuge_fails_too() {
        let mut house = house("a 50; b 50; c standby");
        let id = house.session_at("a");
        let turn = ask("claude-x").session(&id);
        house.is("a", "500").ask(turn, "a:500, b:ok").is("b", "500").ask(turn, "b:500, c:ok");
        house.is("a", "ok").is("b", "ok").after(30.0).ask(turn, "c:ok");
    }

    #[test]
    fn moves_outlive_a_reload() {
        let mut house = house("a 50; b 50");
        let id = house.session_at("a");
        let turn = ask("claude-x").session(&id);
        house.is("a", "500").ask(turn, "a:500, b:ok").is("a", "ok").after(60.0);
        house.reload("a 50; b 50; c standby").ask(turn, "b:ok");
        // Its refuge is gone.
        house.reload("a 50; c standby").ask(turn, "a:ok");
    }
}

mod repairs {
    //! A field that a provider does not take.

    use super::*;
    use crate::error::{Class, Failure};
    use crate::route::{Next, Plan};

    const REFUSED: Failure = Failure { class: Class::Field, status: 400, ..Failure::silent(Class::Field) };

    fn first<'a>(plan: &mut Plan<'a>, house: &super::super::testing::House) -> crate::route::Candidate<'a> {
        match plan.next(house.now) {
            Next::Try(candidate) => candidate,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repair_is_one_more_attempt_with_the_same_key() {
        let house = house("a keys=k:9,l; b standby");
        let mut plan = house.plan(ask("x")).unwrap();
        let candidate = first(&mut plan, &house);
        let candidate = plan.repaired(candidate, &REFUSED, 0, house.now).unwrap();
        assert_eq!((candidate.provider.id.as_str(), candidate.credential.unwrap().id.as_str()), ("a", "k"));
        plan.succeeded(&candidate, house.now);
        assert_eq!(plan.attempts_text(), "a:400, a:ok");
        assert_eq!(candidate.repairs, 0);
    }

    #[test]
    fn it_is_remembered_for_that_provider_and_model() {
        let mut house = house("a; b standby");
        let mut plan = house.plan(ask("x")).unwrap();
        let candidate = first(&mut plan, &house);
        let candidate = plan.repaired(candidate, &REFUSED, 4, house.now).unwrap();
        assert_eq!(candidate.repairs, 4);
        let candidate = plan.repaired(candidate, &REFUSED, 1, house.now).unwrap();
        assert_eq!(candidate.repairs, 5);
        drop((candidate, plan));
        for (after, model, expected) in
            [(0.0, "x", 5), (0.0, "y", 0), (0.0, "b/x", 0), (3599.0, "x", 5), (1.0, "x", 0)]
        {
            house.after(after);
            let mut plan = house.plan(ask(model)).unwrap();
            assert_eq!(first(&mut plan, &house).repairs, expected, "{model} after {after}");
        }
    }

    #[test]
    fn it_counts_as_an_attempt() {
        let house = furnished("a", "retry: { attempts: 2 }");
        let mut plan = house.plan(ask("x")).unwrap();
        let candidate = first(&mut plan, &house);
        let candidate = plan.repaired(candidate, &REFUSED, 0, house.now).unwrap();
        assert!(plan.repaired(candidate, &REFUSED, 0, house.now).is_none());
        let Next::Exhausted(end) = plan.next(house.now) else { panic!() };
        assert_eq!(end.tell, Some(1));
        assert_eq!(end.error(plan.attempts()).kind.status(), 400);
    }

    #[test]
    fn it_tells_nothing_against_the_provider() {
        let mut house = house("a; b standby");
        {
            let mut plan = house.plan(ask("x")).unwrap();
            let candidate = first(&mut plan, &house);
            let candidate = plan.repaired(candidate, &REFUSED, 1, house.now).unwrap();
            plan.failed(&candidate, &REFUSED, house.now);
            assert!(matches!(plan.next(house.now), Next::Exhausted(_)));
        }
        house.ask("x", "a:ok");
    }
}

mod laws {
    //! What holds whatever happens.

    use std::time::Duration;

    use super::*;
    use crate::route::Next;
    use crate::route::select::mix;
    use crate::route::testing::{failure, name};

    const ANSWERS: [&str; 16] = [
        "ok", "ok", "ok", "ok", "connect", "500", "529/3", "429", "429/2", "429/90", "401", "402", "404",
        "400", "409", "overflow",
    ];

    /// Numbers that are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            self.0 += 1;
            usize::try_from(mix(self.0, 17) % n as u64).unwrap()
        }
    }

    #[test]
    fn every_request_ends_within_its_bounds() {
        let mut house = furnished(
            "a 60 keys=k,l:3; b 30; c 10 model=medium; d standby model=large; e 0; f off",
            "retry: { attempts: 5, max_wait: 4s }",
        );
        let mut dice = Dice(0);
        for round in 0..20_000 {
            house.after(f64::from(u32::try_from(dice.below(4000)).unwrap()) / 1000.0);
            let session = format!("session-{}", dice.below(50));
            let model = ["claude-x", "claude-y", "a/claude-x", "anthropic/z", "medium"][dice.below(5)];
            let ask = match dice.below(3) {
                0 => ask(model),
                1 => ask(model).session(&session),
                _ => ask(model).session(&session).in_a_loop(),
            };
            let mut now = house.now;
            let mut plan = match house.plan(ask) {
                Ok(plan) => plan,
                Err(e) => {
                    assert!(matches!(e.kind.status(), 429 | 503) && e.retry_after.is_some(), "{round}: {e}");
                    continue;
                }
            };
            let (mut asked, mut waited): (Vec<(String, String)>, bool) = (Vec::new(), false);
            loop {
                match plan.next(now) {
                    Next::Try(candidate) => {
                        assert!(candidate.provider.enabled, "{round}");
                        let again = asked.iter().any(|(who, _)| *who == name(&candidate));
                        assert!(!again || waited, "{round}: {} again after {asked:?}", name(&candidate));
                        let answer = ANSWERS[dice.below(ANSWERS.len())];
                        asked.push((name(&candidate), answer.to_owned()));
                        assert!(asked.len() <= 5, "{round}: {asked:?}");
                        match failure(answer) {
                            None => {
                                plan.succeeded(&candidate, now);
                                break;
                            }
                            Some(failure) => plan.failed(&candidate, &failure, now),
                        }
                        waited = false;
                    }
                    Next::Wait(wait) => {
                        assert!(!wait.is_zero() && wait <= Duration::from_secs(4), "{round}: {wait:?}");
                        assert!(!waited, "{round}: two waits in a row");
                        waited = true;
                        now += wait;
                    }
                    Next::Exhausted(end) => {
                        assert!(!asked.is_empty(), "{round}: a plan asks someone");
                        assert!(end.tell.is_some(), "{round}: {asked:?}");
                        assert!(matches!(end.error(plan.attempts()).kind.status(), 400..=599), "{round}");
                        break;
                    }
                }
            }
            drop(plan);
            house.now = now;
        }
        // Nothing is left behind: once everyone answers again, everyone is asked again.
        house.after(700.0);
        for id in ["a", "b", "c", "d"] {
            let pin = format!("{id}/claude-x");
            assert!(house.send(ask(&pin)).ends_with(":ok"), "{id}");
        }
        for _ in 0..20 {
            house.ask("b/claude-x", "b:ok");
        }
    }

    #[test]
    fn workers_share_what_rests_without_losing_a_provider() {
        let house = house("a 60 keys=k,l; b 40");
        let (table, snapshot) = (&house.table, &house.snapshot);
        let caller = house.keys.everyone();
        let now = house.now;
        std::thread::scope(|threads| {
            for worker in 0..4u64 {
                let caller = caller.clone();
                threads.spawn(move || {
                    let entry = crate::govern::enter(snapshot, &caller, Surface::Anthropic, None).unwrap();
                    let (mut chooser, mut dice) = (crate::route::Chooser::new(worker), Dice(worker << 32));
                    for round in 0..5_000u64 {
                        let now = now + Duration::from_millis(round * 7);
                        let want = crate::route::Want {
                            model: "claude-x",
                            surface: Surface::Anthropic,
                            session: Some(round % 64),
                            new_turn: true,
                            cache_ttl: &|| Duration::from_secs(5),
                            large_context: false,
                            context_needed: None,
                            window: |_| None,
                            embeddings: false,
                            images: &|| false,
                            traits: crate::route::testing::traits,
                        };
                        let Ok(mut plan) =
                            crate::route::plan(table, snapshot, &entry, &want, &mut chooser, now)
                        else {
                            continue;
                        };
                        while let Next::Try(candidate) = plan.next(now) {
                            match failure(ANSWERS[dice.below(ANSWERS.len())]) {
                                None => {
                                    plan.succeeded(&candidate, now);
                                    break;
                                }
                                Some(failure) => plan.failed(&candidate, &failure, now),
                            }
                        }
                    }
                });
            }
        });
        let mut house = house;
        house.after(800.0);
        house.ask("b/claude-x", "b:ok").ask("b/claude-x", "b:ok");
        assert!(house.send(ask("a/claude-x")).ends_with(":ok"));
    }
}
