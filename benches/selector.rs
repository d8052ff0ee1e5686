//! What a decision costs: the choice by weight beside a naive twin, and everything from a credential to a candidate.
//!
//! Every fast answer is compared with its twin's before anything is measured. The budget: 2 µs for authentication, access
//! and the plan together.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::Bencher;
use pointsman::auth::{self, Carriers, Context, Keys, Surface};
use pointsman::config::{self, Snapshot, env::Given};
use pointsman::govern;
use pointsman::route::select::{Member, hash, mix, rendezvous, whole};
use pointsman::route::{Chooser, Next, Registry, Table, Want, plan, session_hash};
use pointsman::upstream::provider::entry;

fn main() {
    turns_are_right();
    homes_are_right();
    decisions_are_right();
    divan::main();
}

// ---- Turns ----

const SIZES: [usize; 3] = [2, 8, 32];

/// One after the other, as a worker asks.
#[divan::bench(args = SIZES)]
fn turn(bencher: Bencher, providers: usize) {
    let members = members(providers);
    let mut chooser = Chooser::new(0);
    bencher.bench_local(|| chooser.turn(black_box(&members)));
}

#[divan::bench(args = SIZES)]
fn turn_by_the_twin(bencher: Bencher, providers: usize) {
    let members = members(providers);
    let mut given = vec![0.0; providers];
    bencher.bench_local(|| twin_turn(&mut given, black_box(&members)));
}

/// The one that is furthest behind its share of all turns so far, computed anew from the counts. It knows one set of
/// members only and keeps no health in mind, so it may be quicker: naming the set is most of what [`turn`] costs.
fn twin_turn(given: &mut [f64], members: &[(usize, Member)]) -> usize {
    let weight: f64 = members.iter().map(|(_, m)| m.weight).sum();
    let turns: f64 = given.iter().sum::<f64>() + 1.0;
    let behind = |at: usize| turns * members[at].1.weight / weight - given[at];
    let best = (0..members.len()).rev().max_by(|&a, &b| behind(a).total_cmp(&behind(b))).unwrap_or(0);
    given[best] += 1.0;
    best
}

fn turns_are_right() {
    for size in SIZES {
        let members = members(size);
        let (mut chooser, mut counts, mut given) = (Chooser::new(0), vec![0; size], vec![0.0; size]);
        let cycle: i64 = members.iter().map(|(_, m)| m.steps).sum();
        for _ in 0..cycle * 10 {
            counts[chooser.turn(&members).unwrap_or(0)] += 1;
            twin_turn(&mut given, &members);
        }
        let expected: Vec<i64> = members.iter().map(|(_, m)| m.steps * 10).collect();
        assert_eq!(counts, expected, "{size} members");
        for (at, count) in given.iter().enumerate() {
            assert!((count - members[at].1.weight * 10.0).abs() < 1e-6, "the twin, {size} members");
        }
    }
}

// ---- Homes of sessions ----

#[divan::bench(args = SIZES)]
fn home(bencher: Bencher, providers: usize) {
    let members = members(providers);
    let mut session = 0u64;
    bencher.bench_local(|| {
        session += 1;
        rendezvous(mix(session, 0), black_box(&members).iter().copied())
    });
}

#[divan::bench(args = SIZES)]
fn home_by_the_twin(bencher: Bencher, providers: usize) {
    let members = members(providers);
    let mut session = 0u64;
    bencher.bench_local(|| {
        session += 1;
        twin_home(mix(session, 0), black_box(&members))
    });
}

/// As published: every score, sorted.
fn twin_home(point: u64, members: &[(usize, Member)]) -> Option<usize> {
    let score = |m: &Member| {
        #[allow(clippy::cast_precision_loss)]
        let unit = ((mix(point, m.tag) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        m.weight / -unit.ln()
    };
    let mut scores: Vec<(f64, usize)> = members.iter().map(|(at, m)| (score(m), *at)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    scores.first().map(|(_, at)| *at)
}

fn homes_are_right() {
    for size in SIZES {
        let members = members(size);
        for session in 0..10_000 {
            let point = mix(session, 0);
            assert_eq!(
                rendezvous(point, members.iter().copied()),
                twin_home(point, &members),
                "{size}, {session}"
            );
        }
    }
}

fn members(count: usize) -> Vec<(usize, Member)> {
    let weights: Vec<f64> = (1u32..).take(count).map(f64::from).collect();
    let steps = whole(&weights);
    let tags = (0..count).map(|i| hash(&format!("account/provider-{i}")));
    weights
        .iter()
        .zip(steps)
        .zip(tags)
        .map(|((&weight, steps), tag)| Member { tag, weight, steps })
        .enumerate()
        .collect()
}

// ---- From a credential to a candidate ----

#[divan::bench]
fn hash_of_a_session() -> u64 {
    session_hash(black_box(SESSION))
}

/// Authentication alone: most of it is SHA-256.
#[divan::bench]
fn caller(bencher: Bencher) {
    let house = House::new();
    bencher.bench_local(|| house.caller());
}

/// Authentication, access, plan and first candidate, by turns.
#[divan::bench]
fn decision_by_turn(bencher: Bencher) {
    let (house, mut chooser) = (House::new(), Chooser::new(0));
    bencher.bench_local(|| house.decide(&mut chooser, None, "claude-sonnet-4-5"));
}

/// The same for a session, its id's hash included.
#[divan::bench]
fn decision_by_session(bencher: Bencher) {
    let (house, mut chooser) = (House::new(), Chooser::new(0));
    bencher.bench_local(|| house.decide(&mut chooser, Some(black_box(SESSION)), "claude-sonnet-4-5"));
}

/// The same for a pin.
#[divan::bench]
fn decision_by_pin(bencher: Bencher) {
    let (house, mut chooser) = (House::new(), Chooser::new(0));
    bencher.bench_local(|| house.decide(&mut chooser, Some(black_box(SESSION)), "second/claude-sonnet-4-5"));
}

/// The same while one provider rests and the session was moved.
#[divan::bench]
fn decision_while_one_rests(bencher: Bencher) {
    let (house, mut chooser) = (House::new(), Chooser::new(0));
    house.break_first(&mut chooser);
    bencher.bench_local(|| house.decide(&mut chooser, Some(black_box(SESSION)), "claude-sonnet-4-5"));
}

fn decisions_are_right() {
    let (house, mut chooser) = (House::new(), Chooser::new(0));
    let mut counts = [0; 2];
    for _ in 0..1000 {
        counts[usize::from(house.decide(&mut chooser, None, "claude-sonnet-4-5") == 2)] += 1;
    }
    assert_eq!(counts, [700, 300]);
    let home = house.decide(&mut chooser, Some(SESSION), "claude-sonnet-4-5");
    assert!((0..100).all(|_| house.decide(&mut chooser, Some(SESSION), "claude-sonnet-4-5") == home));
    assert_eq!(house.decide(&mut chooser, Some(SESSION), "second/claude-sonnet-4-5"), 2);
    house.break_first(&mut chooser);
    assert_eq!(house.decide(&mut chooser, None, "claude-sonnet-4-5"), 2);
}

struct House {
    snapshot: Snapshot,
    table: Table,
    keys: Keys,
    now: Instant,
}

impl House {
    fn new() -> Self {
        let snapshot =
            config::from_text("bench", CONFIG, &Given::new()).expect("the bench's own configuration");
        let now = Instant::now();
        let table = Table::new(&snapshot, &Arc::new(Registry::new(now)));
        Self { table, keys: Keys::new(&snapshot), snapshot, now }
    }

    fn caller(&self) -> auth::Caller {
        // A map of 25 headers would be the edge's cost; here every carrier is asked for and the fifth has it.
        let header = |name: &str| (name == "authorization").then_some(black_box(CREDENTIAL));
        let context = Context {
            surface: Surface::Anthropic,
            loopback_listener: true,
            peer_loopback: true,
            forwarded: false,
        };
        auth::caller(&self.keys, &Carriers { header: &header, query_key: None }, context, 0)
            .expect("a known key")
    }

    /// 1 or 2: which provider is asked.
    fn decide(&self, chooser: &mut Chooser, session: Option<&str>, model: &str) -> u8 {
        let caller = self.caller();
        let entry = govern::enter(&self.snapshot, &caller, Surface::Anthropic, Some(model))
            .expect("an allowed model");
        let want = want(model, session);
        let mut plan = plan(&self.table, &self.snapshot, &entry, &want, chooser, self.now)
            .expect("a provider that works");
        match plan.next(self.now) {
            Next::Try(candidate) => 1 + u8::from(candidate.provider.id == "second"),
            Next::Wait(_) | Next::Exhausted(_) => 0,
        }
    }

    fn break_first(&self, chooser: &mut Chooser) {
        use pointsman::error::{Class, Failure};
        let entry =
            govern::enter(&self.snapshot, &self.caller(), Surface::Anthropic, None).expect("no model");
        let want = want("first/claude-sonnet-4-5", Some(SESSION));
        let mut plan = plan(&self.table, &self.snapshot, &entry, &want, chooser, self.now).expect("a pin");
        if let Next::Try(candidate) = plan.next(self.now) {
            plan.failed(&candidate, &Failure::silent(Class::Connect), self.now);
        }
        let want = self::want("claude-sonnet-4-5", Some(SESSION));
        let mut plan = pointsman::route::plan(&self.table, &self.snapshot, &entry, &want, chooser, self.now)
            .expect("the other");
        if let Next::Try(candidate) = plan.next(self.now) {
            plan.succeeded(&candidate, self.now);
        }
    }
}

fn want<'a>(model: &'a str, session: Option<&str>) -> Want<'a> {
    Want {
        model,
        surface: Surface::Anthropic,
        session: session.map(session_hash),
        new_turn: true,
        cache_ttl: &|| Duration::from_mins(5),
        large_context: false,
        context_needed: Some(30_000),
        window: |model| model.starts_with("claude").then_some(200_000),
        embeddings: false,
        images: &|| false,
        traits: entry::traits,
    }
}

const SESSION: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const CREDENTIAL: &str = "Bearer pm-0123456789abcdef0123456789abcdef0123456789abcdef";
const CONFIG: &str = "
accounts:
  - id: team
    providers:
      - { id: first, type: anthropic, api_key: sk-ant-1, model: claude-opus-4-6, weight: 70 }
      - { id: second, type: anthropic, api_keys: [{ id: a, key: sk-ant-2 }, { id: b, key: sk-ant-3 }], weight: 30 }
      - { id: third, type: mock, standby: true }
virtual_keys:
  - { id: dev, key: pm-0123456789abcdef0123456789abcdef0123456789abcdef, allow: { models: [\"claude-*\", \"second/*\"] } }
  - { id: ops, key: pm-fedcba9876543210fedcba9876543210fedcba9876543210 }
";
