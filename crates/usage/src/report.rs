//! Reports: rows of the ledger added up by what somebody wants to know.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use breezeway_core::{ApiKeyId, UserId};

use crate::{Day, LedgerKey, Totals};

/// Which rows to add up, and how.
#[derive(Clone, Debug)]
pub struct ReportQuery {
    /// The first day.
    pub since: Day,
    /// The last day, which is included.
    pub until: Day,
    /// Whose calls; `None` for everybody's.
    pub account: Option<UserId>,
    /// What is kept apart.
    pub group_by: GroupBy,
    /// How many rows at most. The newest days come first, and within a day the order is that of
    /// account, key and model by their bytes.
    pub limit: u32,
}

/// What a report keeps apart; everything else is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupBy {
    /// One row for each day.
    pub day: bool,
    /// One row for each model.
    pub model: bool,
    /// One row for each account.
    pub account: bool,
    /// One row for each key, and one for calls without a key.
    pub key: bool,
}

/// A row of a report. What the report does not keep apart is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportRow {
    /// The day.
    pub day: Option<Day>,
    /// The account.
    pub account: Option<UserId>,
    /// The key; also `None` for calls without one.
    pub key: Option<ApiKeyId>,
    /// The model.
    pub model: Option<Arc<str>>,
    /// What the calls add up to.
    pub totals: Totals,
}

/// What a store answers with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of the last batch that the rows cover.
    pub last_batch: u64,
    /// The rows, in order.
    pub rows: Vec<ReportRow>,
}

/// What a row is for; the order of rows is its order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    day: Reverse<Option<Day>>,
    account: Option<UserId>,
    key: Option<ApiKeyId>,
    model: Option<Arc<str>>,
}

impl ReportQuery {
    fn covers(&self, key: &LedgerKey) -> bool {
        let whose = self.account.as_ref().is_none_or(|account| *account == key.account);
        whose && (self.since..=self.until).contains(&key.day)
    }

    fn group(&self, key: &LedgerKey) -> Group {
        let by = self.group_by;
        Group {
            day: Reverse(by.day.then_some(key.day)),
            account: by.account.then(|| key.account.clone()),
            key: key.key.clone().filter(|_| by.key),
            model: by.model.then(|| key.model.clone()),
        }
    }
}

/// Adds rows up, wherever they come from.
///
/// Rows of a store that were cut off at the limit do no harm: whatever would have been added to one of
/// them has at least as many groups before it, and is cut off as well.
pub(crate) struct Adder<'q> {
    query: &'q ReportQuery,
    groups: BTreeMap<Group, Totals>,
}

impl<'q> Adder<'q> {
    pub(crate) fn new(query: &'q ReportQuery) -> Self {
        Self { query, groups: BTreeMap::new() }
    }

    /// Add a row that a store has added up for the same query.
    pub(crate) fn add_row(&mut self, row: ReportRow) {
        let ReportRow { day, account, key, model, totals } = row;
        self.groups.entry(Group { day: Reverse(day), account, key, model }).or_default().add(&totals);
    }

    /// Add a row of the ledger, if the query is about it.
    pub(crate) fn add(&mut self, key: &LedgerKey, totals: &Totals) {
        if self.query.covers(key) {
            self.groups.entry(self.query.group(key)).or_default().add(totals);
        }
    }

    pub(crate) fn finish(self) -> Vec<ReportRow> {
        let limit = usize::try_from(self.query.limit).unwrap_or(usize::MAX);
        let row = |(group, totals): (Group, Totals)| ReportRow {
            day: group.day.0,
            account: group.account,
            key: group.key,
            model: group.model,
            totals,
        };
        self.groups.into_iter().take(limit).map(row).collect()
    }
}
