//! What was measured, as a table for people or as JSON.
//!
//! Owns: names, units and how numbers are written. Does not know where they come from.

use std::io::{self, Write};

use crate::stats::Histogram;

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
}

/// Rows in the order in which they were added.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    warnings: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Adds a value. `name` carries its unit, as in the JSON; `unit` is for the table.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.rows.push(Row { name: name.into(), value, unit });
    }

    /// Adds a count.
    pub fn count(&mut self, name: impl Into<String>, value: u64) {
        self.add(name, value as f64, "");
    }

    /// Adds median, tail and maximum, in microseconds.
    pub fn quantiles(&mut self, name: &str, values: &Histogram) {
        if values.total() == 0 {
            return;
        }
        let us = |ns: u64| ns as f64 / 1000.0;
        for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            self.add(format!("{name}_{label}_us"), us(values.quantile_ns(share)), "us");
        }
        self.add(format!("{name}_max_us"), us(values.max_ns()), "us");
    }

    /// Says that the numbers do not mean what they seem to.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// Says that a promise was broken: the program ends with an error.
    pub fn fail(&mut self, text: impl Into<String>) {
        self.failures.push(text.into());
    }

    /// Whether a promise was broken.
    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Writes everything.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn write(&self, out: &mut impl Write, json: bool) -> io::Result<()> {
        if json { self.write_json(out) } else { self.write_table(out) }
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        for Row { name, value, unit } in &self.rows {
            let digits = if value.fract() == 0.0 { 0 } else { 2 };
            writeln!(out, "{name:<34} {value:>14.digits$} {unit}")?;
        }
        for warning in &self.warnings {
            writeln!(out, "WARNING: {warning}")?;
        }
        for failure in &self.failures {
            writeln!(out, "FAILED: {failure}")?;
        }
        out.flush()
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{{")?;
        for Row { name, value, .. } in &self.rows {
            write!(out, "\"{name}\":{value},")?;
        }
        writeln!(out, "\"warnings\":[{}],\"failures\":[{}]}}", list(&self.warnings), list(&self.failures))?;
        out.flush()
    }
}

/// Warnings and failures are this program's own words: nothing else in them has to be escaped.
fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{}\"", text.replace('"', "'"))).collect();
    quoted.join(",")
}
