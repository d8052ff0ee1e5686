//! `budgets` and `rate_limits`: whom they name. Loaded and checked; this version does not enforce them.

use std::time::Duration;

use super::{Known, Reader};
use crate::config::decode::{Item, Record};
use crate::config::snapshot::{Budget, Level, RateLimit};

impl Reader<'_> {
    pub(super) fn budgets(&mut self, file: &Record, known: &Known) -> Vec<Budget> {
        let budgets: Vec<Budget> = file.records("budgets").filter_map(|r| self.budget(r, known)).collect();
        if !budgets.is_empty() {
            let n = budgets.len();
            self.sink.warn(format!(
                "`budgets`: {n} loaded, NOT ENFORCED yet by this version: spending is not limited"
            ));
        }
        budgets
    }

    fn budget(&mut self, record: &Record, known: &Known) -> Option<Budget> {
        let level = record.text("level").and_then(level_of);
        self.named(record, level, known);
        Some(Budget {
            level: level?,
            id: record.string("id")?,
            limit_nano: record.money("limit")?,
            period: record.string("period")?,
            timezone: record.string("timezone").unwrap_or_else(|| "UTC".to_owned()),
            soft: record.text("enforcement") == Some("soft"),
            min_output: record.whole("min_output"),
            status: if record.text("status") == Some("429") { 429 } else { 402 },
        })
    }

    pub(super) fn rate_limits(&mut self, file: &Record, known: &Known) -> Vec<RateLimit> {
        let limits: Vec<RateLimit> =
            file.records("rate_limits").filter_map(|r| self.rate_limit(r, known)).collect();
        if !limits.is_empty() {
            let n = limits.len();
            self.sink.warn(format!(
                "`rate_limits`: {n} loaded, NOT ENFORCED yet by this version: requests are not limited"
            ));
        }
        limits
    }

    fn rate_limit(&mut self, record: &Record, known: &Known) -> Option<RateLimit> {
        let level = record.text("level").and_then(level_of);
        self.named(record, level, known);
        if !["requests", "tokens", "concurrent"].iter().any(|name| record.has(name)) {
            let text = "limits nothing; expected `requests`, `tokens` or `concurrent`";
            self.sink.mistake(record.at, &record.path, text);
        }
        Some(RateLimit {
            level: level?,
            id: record.string("id")?,
            requests: record.whole("requests"),
            tokens: record.whole("tokens"),
            period: record.span("period").unwrap_or(Duration::from_mins(1)),
            concurrent: record.whole("concurrent"),
        })
    }

    /// Whom it names exists. Where nothing of that kind is declared at all, it is a warning: files that hold budgets
    /// only are complete, and in open mode a credential may equal the id.
    fn named(&mut self, record: &Record, level: Option<Level>, known: &Known) {
        let (Some(level), Some(item)) = (level, record.item("id")) else { return };
        let teams = known.teams.keys().map(String::as_str);
        match level {
            Level::Customer => self.declared(item, "customer", known.customers.iter().map(String::as_str)),
            Level::Team => self.declared(item, "team", teams),
            Level::VirtualKey if known.keys.is_empty() => {}
            Level::VirtualKey => {
                self.refers(Some(item), "virtual key", known.keys.iter().map(String::as_str));
            }
            Level::ProviderConfig => self.provider_config(item, known),
        }
    }

    fn declared<'n>(&mut self, item: &Item, what: &str, names: impl Iterator<Item = &'n str> + Clone) {
        if names.clone().next().is_none() {
            self.sink.warn(format!("{}: no {what} is declared, so this counts nothing", item.path));
        } else {
            self.refers(Some(item), what, names);
        }
    }

    /// `openai-primary`, or `dev-team/openai-primary` where several accounts have one of that name.
    fn provider_config(&mut self, item: &Item, known: &Known) {
        let Some(id) = item.text().filter(|_| !known.accounts.is_empty()) else { return };
        let full: Vec<(&str, String)> = known
            .accounts
            .iter()
            .flat_map(|(account, ids)| ids.iter().map(move |p| (p.as_str(), format!("{account}/{p}"))))
            .collect();
        let same: Vec<&str> = full.iter().filter(|(p, _)| *p == id).map(|(_, f)| f.as_str()).collect();
        if same.len() > 1 {
            let text =
                format!("{} stands in several accounts; expected one of {}", item.raw, same.join(", "));
            self.sink.mistake(item.at, &item.path, text);
        } else if same.is_empty() && !full.iter().any(|(_, f)| f == id) {
            if known.written {
                let names = full
                    .iter()
                    .map(|(p, _)| *p)
                    .chain(full.iter().filter(|_| id.contains('/')).map(|(_, f)| f.as_str()));
                self.dangling(item, &item.raw, id, "provider", names);
            } else {
                self.sink.warn(format!("{}: there is no provider `{id}`, so this counts nothing", item.path));
            }
        }
    }
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word {
        "customer" => Level::Customer,
        "team" => Level::Team,
        "virtual_key" => Level::VirtualKey,
        "provider_config" => Level::ProviderConfig,
        _ => return None,
    })
}
