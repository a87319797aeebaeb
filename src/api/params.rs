//! Query parameters, read with every fault at once.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use super::problem::Problem;
use crate::document::Fault;

/// The parameters of a query; everything that is wrong with them is said at once.
#[derive(Debug)]
pub(super) struct Params<'q> {
    /// Names and values, as they came.
    query: &'q [(String, String)],
    /// What is wrong; pointers are as if the query were an object.
    faults: RefCell<Vec<Fault>>,
}

impl<'q> Params<'q> {
    /// Takes a query and notes what is not `known` or there twice.
    pub(super) fn new(query: &'q [(String, String)], known: &[&str]) -> Self {
        let params = Self {
            query,
            faults: RefCell::default(),
        };
        for (index, (name, _)) in query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = match known {
                    [] => "there are none here".to_owned(),
                    known => format!("known are {}", known.join(", ")),
                };
                params.refuse(name, format!("unknown query parameter, {known}"));
            } else if query[..index].iter().any(|(earlier, _)| earlier == name) {
                params.refuse(name, "the query parameter is given twice".to_owned());
            }
        }
        params
    }

    /// Returns a parameter's text.
    pub(super) fn text(&self, name: &str) -> Option<&'q str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns what a parameter says, `None` if it is absent or wrong.
    pub(super) fn parsed<T>(&self, name: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.with(name, |text| text.parse().map_err(|e: T::Err| e.to_string()))
    }

    /// Returns what `read` makes of a parameter, `None` if it is absent or wrong.
    pub(super) fn with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match read(self.text(name)?) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.refuse(name, detail);
                None
            }
        }
    }

    /// Returns whether a parameter is `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        let read = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            found => Err(format!("expected true or false, found {found:?}")),
        };
        self.with(name, read).unwrap_or(false)
    }

    /// Returns a whole number of a range, or `default` without one.
    pub(super) fn number(&self, name: &str, least: u64, most: u64, default: u64) -> u64 {
        let read = |text: &str| {
            let number = text.parse().ok();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| {
                    format!("expected a whole number from {least} to {most}, found {text:?}")
                })
        };
        self.with(name, read).unwrap_or(default)
    }

    /// Returns the number of existing domains that a change is meant to touch, if it is said.
    pub(super) fn expect_domains(&self) -> Option<u64> {
        self.text("expect_domains")?;
        Some(self.number("expect_domains", 0, u64::MAX, 0))
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// 422 with everything that was noted.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Problem::invalid(faults))
    }

    /// Notes that a parameter is wrong.
    fn refuse(&self, name: &str, detail: String) {
        let fault = Fault::new(format!("/{name}"), detail);
        self.faults.borrow_mut().push(fault);
    }
}
