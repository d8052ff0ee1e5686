//! Choice by weight: exact per worker without sessions, stable and fair over many with them.
//!
//! * [`Chooser`]: smooth weighted round robin. Its state is the worker's own memory, so it needs neither a lock nor an
//!   atomic; over each cycle every member gets exactly its weight. Each set of members has a wheel of its own, so that
//!   a model which one provider lacks does not bend the shares of the others.
//! * [`rendezvous`]: highest random weight over a session's hash. The same session finds the same member on every
//!   worker and after every restart; a member that comes or goes moves only the sessions that it gains or loses.
//!
//! Knows nothing of health: who may be chosen is decided before.

/// Sixty-four well-mixed bits of a text, the same on every worker, machine and version (not cryptographic: a client that
/// picks its session id picks its provider, which it could do by a pin as well).
///
/// Each eight bytes go through [`mix`]; the length is mixed in at the end, so that trailing zeros count.
pub fn hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut words = bytes.chunks_exact(8);
    let mut state = SEED;
    for word in &mut words {
        state = mix(state, word.try_into().map_or(0, u64::from_le_bytes));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    mix(mix(state, u64::from_le_bytes(last)), u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

/// Two words into one: the finaliser of splitmix64 (Steele, Lea and Flood, 2014) over their combination.
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.rotate_left(25) ^ b.wrapping_add(SEED);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// One that may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Names it across reloads and restarts.
    pub tag: u64,
    /// As configured, `>= 0`.
    pub weight: f64,
    /// The weight in whole steps, see [`whole`].
    pub steps: i64,
}

/// The one with the highest random weight for `point`, which is a session's hash: the smallest `-ln(u) / weight`, with
/// `u` uniform in (0, 1) from the point and the member's tag. Members without weight are chosen only where none has any.
/// `None` for no members.
pub fn rendezvous<T>(point: u64, mut members: impl Iterator<Item = (T, Member)>) -> Option<T> {
    let (first, member) = members.next()?;
    let Some(second) = members.next() else { return Some(first) };
    let (mut best, mut least) = (first, cost(point, member));
    for (this, member) in std::iter::once(second).chain(members) {
        let cost = cost(point, member);
        if cost < least {
            (best, least) = (this, cost);
        }
    }
    Some(best)
}

/// Whether it has no weight, and its cost: compared in this order.
fn cost(point: u64, member: Member) -> (bool, f64) {
    let bare = -unit(mix(point, member.tag)).ln();
    if member.weight > 0.0 { (false, bare / member.weight) } else { (true, bare) }
}

/// A number in (0, 1), from the upper 53 bits.
fn unit(bits: u64) -> f64 {
    // 53 bits are exact in an f64.
    #[allow(clippy::cast_precision_loss)]
    let upper = (bits >> 11) as f64;
    (upper + 0.5) / 9_007_199_254_740_992.0
}

/// Weights as whole steps in the same proportions: exact for up to six decimals, else to a billionth of the largest.
pub fn whole(weights: &[f64]) -> Vec<i64> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let exact = SCALES.iter().copied().find(|scale| {
        largest * scale <= MOST
            && weights.iter().all(|w| (w * scale - (w * scale).round()).abs() <= w * scale * 1e-9)
    });
    let scale = exact.unwrap_or(if largest > 0.0 { FINE / largest } else { 0.0 });
    weights.iter().map(|w| steps(w * scale)).collect()
}

fn steps(scaled: f64) -> i64 {
    if scaled <= 0.0 {
        return 0;
    }
    // Between 1 and MOST, so the cast is exact.
    #[allow(clippy::cast_possible_truncation)]
    let whole = scaled.round().clamp(1.0, MOST) as i64;
    whole
}

/// The weight counters of one worker.
#[derive(Debug)]
pub struct Chooser {
    /// At most [`WHEELS`].
    wheels: Vec<Wheel>,
    /// Which one a new set overwrites once all are taken. `next < WHEELS`.
    next: usize,
    ticket: u64,
}

/// Smooth weighted round robin over one set of members. The numbers always sum to 0.
#[derive(Debug)]
struct Wheel {
    /// Hash of the members with their weights: a changed weight starts a new wheel.
    set: u64,
    ahead: Vec<i64>,
}

impl Chooser {
    /// A worker's own; `seed` (its number) keeps the tickets of workers apart.
    pub fn new(seed: u64) -> Self {
        Self { wheels: Vec::new(), next: 0, ticket: mix(seed, SEED) }
    }

    /// The one whose turn it is; those without weight only where none has any. `None` for no members.
    pub fn turn<T: Copy>(&mut self, members: &[(T, Member)]) -> Option<T> {
        if members.len() < 2 {
            return members.first().map(|&(this, _)| this);
        }
        let total: i64 = members.iter().map(|(_, m)| m.steps).sum();
        let even = i64::from(total == 0);
        let total = if total == 0 { i64::try_from(members.len()).ok()? } else { total };
        let ahead = &mut self.wheel(set(members), members.len()).ahead;
        let mut best: Option<(i64, usize)> = None;
        for (at, (value, (_, member))) in ahead.iter_mut().zip(members).enumerate() {
            let step = member.steps + even;
            *value += step;
            if step > 0 && best.is_none_or(|(most, _)| *value > most) {
                best = Some((*value, at));
            }
        }
        let (_, at) = best?;
        *ahead.get_mut(at)? -= total;
        members.get(at).map(|&(this, _)| this)
    }

    /// A number that no other request of this worker has: the point of requests without a session.
    pub fn ticket(&mut self) -> u64 {
        self.ticket = self.ticket.wrapping_add(1);
        mix(self.ticket, SEED)
    }

    fn wheel(&mut self, set: u64, count: usize) -> &mut Wheel {
        let found = self.wheels.iter().position(|w| w.set == set && w.ahead.len() == count);
        let at = found.unwrap_or_else(|| {
            let wheel = Wheel { set, ahead: vec![0; count] };
            let at = self.next;
            self.next = (self.next + 1) % WHEELS;
            match self.wheels.get_mut(at) {
                Some(old) => *old = wheel,
                None => self.wheels.push(wheel),
            }
            at
        });
        &mut self.wheels[at]
    }
}

/// Names a set of members with their weights.
fn set<T>(members: &[(T, Member)]) -> u64 {
    members.iter().fold(SEED, |set, (_, m)| mix(mix(set, m.tag), m.steps.unsigned_abs()))
}

/// Sets of members that one worker counts at once: accounts times what health, keys and models leave of them. An older
/// one starts anew.
const WHEELS: usize = 64;

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const SCALES: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
/// Largest step: a thousand members of it still fit an `i64`.
const MOST: f64 = 1e12;
const FINE: f64 = 1e9;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Chooser, Member, WHEELS, hash, mix, rendezvous, unit, whole};

    fn members(weights: &[f64]) -> Vec<(usize, Member)> {
        let steps = whole(weights);
        let tags = (1..).map(|i| mix(7, i));
        weights
            .iter()
            .zip(steps)
            .zip(tags)
            .map(|((&weight, steps), tag)| Member { tag, weight, steps })
            .enumerate()
            .collect()
    }

    #[test]
    fn weights_become_steps_in_the_same_proportions() {
        for (weights, expected) in [
            (&[70.0, 30.0][..], &[70, 30][..]),
            (&[0.7, 0.3], &[7, 3]),
            (&[0.1, 0.2, 0.3], &[1, 2, 3]),
            (&[1.0, 0.0], &[1, 0]),
            (&[0.0, 0.0], &[0, 0]),
            (&[0.125, 1.0], &[125, 1000]),
            (&[1e12, 1.0], &[1_000_000_000_000, 1]),
            (&[1e300, 1.0], &[1_000_000_000, 1]),
            (&[1e300, 0.0], &[1_000_000_000, 0]),
            (&[1.0 / 3.0, 2.0 / 3.0], &[500_000_000, 1_000_000_000]),
            (&[1e-9, 2e-9], &[500_000_000, 1_000_000_000]),
            (&[], &[]),
        ] {
            assert_eq!(whole(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn a_cycle_gives_each_its_weight() {
        for weights in [&[70.0, 30.0][..], &[5.0, 1.0, 1.0], &[1.0, 0.0, 2.0], &[0.0, 0.0], &[3.0]] {
            let members = members(weights);
            let cycle: i64 = members.iter().map(|(_, m)| m.steps).sum::<i64>().max(2);
            let mut chooser = Chooser::new(0);
            let mut counts = vec![0; weights.len()];
            for _ in 0..cycle * 3 {
                counts[chooser.turn(&members).unwrap()] += 1;
            }
            let expected: Vec<i64> = if weights.len() > 1 && weights.iter().all(|w| *w == 0.0) {
                vec![3; weights.len()]
            } else if let [_] = weights {
                vec![cycle * 3]
            } else {
                members.iter().map(|(_, m)| m.steps * 3).collect()
            };
            assert_eq!(counts, expected, "{weights:?}");
        }
        assert_eq!(Chooser::new(0).turn::<u8>(&[]), None);
    }

    /// Smooth weighted round robin by the book, with its counters in a map and in floating point.
    fn twin(ahead: &mut BTreeMap<usize, f64>, weights: &[f64]) -> usize {
        for (at, weight) in weights.iter().enumerate() {
            *ahead.entry(at).or_default() += weight;
        }
        let best = (0..weights.len()).rev().max_by(|a, b| ahead[a].total_cmp(&ahead[b])).unwrap();
        *ahead.get_mut(&best).unwrap() -= weights.iter().sum::<f64>();
        best
    }

    #[test]
    fn turns_are_those_of_the_slow_twin() {
        for weights in [&[70.0, 30.0][..], &[5.0, 1.0, 1.0], &[1.0, 2.0, 3.0, 4.0], &[8.0, 8.0]] {
            let members = members(weights);
            let (mut chooser, mut ahead) = (Chooser::new(3), BTreeMap::new());
            for turn in 0..1000 {
                assert_eq!(
                    chooser.turn(&members),
                    Some(twin(&mut ahead, weights)),
                    "{weights:?}, turn {turn}"
                );
            }
        }
    }

    #[test]
    fn each_set_has_a_wheel_of_its_own() {
        let (all, few) = (members(&[2.0, 1.0, 1.0]), members(&[2.0, 1.0]));
        let mut chooser = Chooser::new(0);
        let mut counts = [[0; 3]; 2];
        for _ in 0..12 {
            counts[0][chooser.turn(&all).unwrap()] += 1;
            counts[1][chooser.turn(&few).unwrap()] += 1;
        }
        assert_eq!(counts, [[6, 3, 3], [8, 4, 0]]);
    }

    #[test]
    fn wheels_are_bounded() {
        let mut chooser = Chooser::new(0);
        for i in 0..1000u32 {
            let _ = chooser.turn(&members(&[f64::from(i + 1), 1.0]));
        }
        assert_eq!(chooser.wheels.len(), WHEELS);
    }

    #[test]
    fn rendezvous_is_that_of_the_slow_twin() {
        for weights in [&[70.0, 30.0][..], &[1.0, 1.0, 1.0], &[5.0, 0.0, 1.0], &[0.0, 0.0], &[1e300, 1.0]] {
            let members = members(weights);
            for i in 0..2000 {
                let point = hash(&format!("session-{i}"));
                // As published: weight / -ln(u), the largest wins; those without weight among themselves.
                let score = |m: &Member, weight: f64| weight / -unit(mix(point, m.tag)).ln();
                let some = weights.iter().any(|w| *w > 0.0);
                let weighed =
                    members.iter().map(|(at, m)| (score(m, if some { m.weight } else { 1.0 }), *at));
                let expected = weighed.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, at)| at);
                assert_eq!(rendezvous(point, members.iter().copied()), expected, "{weights:?}, {i}");
            }
        }
        assert_eq!(rendezvous::<u8>(1, std::iter::empty()), None);
    }

    #[test]
    fn hashes_differ_where_texts_do() {
        let texts = ["", "\0", "\0\0", "a", "a\0", "12345678", "12345678\0", "123456789", "87654321"];
        let mut hashes: Vec<u64> = texts.iter().map(|t| hash(t)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), texts.len());
        // Sessions keep their homes over releases only while this number stays.
        assert_eq!(hash("session-1"), HASH_OF_SESSION_1);
    }

    const HASH_OF_SESSION_1: u64 = 3_873_481_421_614_498_512;

    #[test]
    fn tickets_of_workers_differ() {
        let (mut one, mut two) = (Chooser::new(0), Chooser::new(1));
        let mut seen: Vec<u64> = (0..1000).flat_map(|_| [one.ticket(), two.ticket()]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2000);
    }
}
