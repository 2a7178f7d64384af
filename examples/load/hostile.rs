//! Those who behave, beside those who do not: what does each kind of attack do to everybody's delay?
//!
//! Owns: the order of the measurement and its table. One publisher and its players stay all the time, first alone, then
//! beside each kind of attack, which is a process of its own, at the lowest priority: with two processors it has to
//! share the one of those who measure, so how late they were themselves stands beside each figure.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::attack::Kind;
use crate::options::Options;
use crate::player::Start;
use crate::report::Report;
use crate::stats::Histogram;
use crate::watch::{Load, join_all, publish, report_lost};
use crate::world::World;

/// How long an attack goes on before anything is measured.
const LEAD: Duration = Duration::from_secs(1);
/// How long after it the server may need until all is as before.
const REST: Duration = Duration::from_secs(1);
/// The 99th percentile of the delay stays below this.
const PROMISE_MS: f64 = 20.0;
const MS: f64 = 1_000_000.0;

/// One row of the table.
struct Row {
    name: &'static str,
    quantiles_ms: [f64; 4],
    gaps: u64,
    lateness_ms: f64,
    server_share: f64,
    resident_mib: f64,
    /// Connections made, connections closed by the server, MB sent, MB received; each a second.
    attack: [f64; 4],
}

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or does not let anybody publish or play.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut world = World::new(options.target()?, options.clip())?;
    publish(&mut world, options)?;
    join_all(&mut world, options, Start::AtOnce)?;
    world.run_for(options.warmup.max(world.gop()))?;
    world.begin_counting();
    let mut rows = vec![measure(&mut world, options, "quiet", None)?];
    let kinds =
        Kind::ALL.iter().filter(|(name, _)| options.kinds.is_empty() || options.kinds.iter().any(|k| k == name));
    for (name, _) in kinds {
        let attack = start(options, name)?;
        world.run_for(LEAD)?;
        rows.push(measure(&mut world, options, name, Some(attack))?);
        world.run_for(REST)?;
    }
    rows.push(measure(&mut world, options, "quiet_again", None)?);
    if !options.json {
        write_table(&rows, options)?;
    }
    let mut report = Report::default();
    judge(&mut report, &rows, options);
    let (_, present) = world.player_counts();
    report.count("players_at_end", present as u64);
    report_lost(&mut report, &world);
    if world.lost > 0 {
        report.fail("a connection of those who behave was lost");
    }
    Ok(report)
}

/// Attackers in a process of their own, behind all others; it ends by itself.
fn start(options: &Options, kind: &str) -> io::Result<Child> {
    let target = options.target()?;
    let mut command = Command::new("nice");
    // Whatever the priority of this process, theirs is the lowest.
    command.args(["-n", "39"]).arg(std::env::current_exe()?).args(["attack", "--kind", kind, "--json"]);
    command.arg("--seconds").arg((options.duration + LEAD).as_secs().to_string());
    if let Some(http) = options.http {
        command.arg("--http").arg(http.to_string());
    }
    command.arg(format!("rtmp://{}/{}/{}", target.address, target.app, target.stream));
    command.stdout(Stdio::piped()).spawn()
}

fn measure(world: &mut World, options: &Options, name: &'static str, attack: Option<Child>) -> io::Result<Row> {
    world.meter.delays = Histogram::new();
    world.lateness = Histogram::new();
    let gaps = world.meter.gaps;
    let load = Load::begin(options)?;
    // The attack ends a little later, so that all of what is measured is beside it.
    let end = Instant::now() + options.duration - Duration::from_millis(200);
    world.run(end, |_| false)?;
    let load = load.end()?;
    let delays = &world.meter.delays;
    let quantile = |share: f64| delays.quantile_ns(share) as f64 / MS;
    let quantiles_ms = [quantile(0.5), quantile(0.99), quantile(0.999), delays.max_ns() as f64 / MS];
    let memory = options.watched.as_ref().map(|watched| watched.memory()).transpose()?.unwrap_or_default();
    let lateness_ms = world.lateness.quantile_ns(0.99) as f64 / MS;
    let server_share = load.server_ns().unwrap_or(0.0) / load.wall.as_nanos() as f64;
    // Whoever behaves goes on while the attackers tell what they did.
    let attack = match attack {
        Some(child) => told(world, child)?,
        None => [0.0; 4],
    };
    let gaps = world.meter.gaps - gaps;
    Ok(Row {
        name,
        quantiles_ms,
        gaps,
        lateness_ms,
        server_share,
        resident_mib: memory.resident as f64 / 1048576.0,
        attack,
    })
}

fn told(world: &mut World, mut child: Child) -> io::Result<[f64; 4]> {
    while child.try_wait()?.is_none() {
        world.run_for(Duration::from_millis(20))?;
    }
    let out = child.wait_with_output()?;
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).map_err(io::Error::other)?;
    let field = |name: &str| told.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    Ok([
        field("connects_per_s"),
        field("closed_by_server_per_s"),
        field("sent_mbytes_per_s"),
        field("received_mbytes_per_s"),
    ])
}

fn write_table(rows: &[Row], options: &Options) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{} players of one stream at {} kbit/s; delay in ms; the attackers have the load's processor, at nice 19",
        options.count, options.kbps
    )?;
    let head = [
        "p50", "p99", "p99.9", "max", "ratio", "gaps", "late p99", "server", "MiB", "conn/s", "shut/s", "MB/s", "back",
    ];
    write!(out, "{:<16}", "beside")?;
    head.iter().try_for_each(|name| write!(out, "{name:>9}"))?;
    writeln!(out)?;
    let quiet = rows.first().map_or(1.0, p99);
    for row in rows {
        write!(out, "{:<16}", row.name)?;
        row.quantiles_ms.iter().try_for_each(|value| write!(out, "{value:>9.2}"))?;
        write!(out, "{:>9.1}{:>9}{:>9.2}", p99(row) / quiet, row.gaps, row.lateness_ms)?;
        write!(out, "{:>8.0}%{:>9.1}", row.server_share * 100.0, row.resident_mib)?;
        row.attack.iter().try_for_each(|value| write!(out, "{value:>9.1}"))?;
        writeln!(out)?;
    }
    Ok(())
}

fn judge(report: &mut Report, rows: &[Row], options: &Options) {
    let quiet = rows.first().map_or(1.0, p99);
    for row in rows {
        if options.json {
            let [p50, p99, p999, max] = row.quantiles_ms;
            let figures = [("p50", p50), ("p99", p99), ("p999", p999), ("max", max), ("lateness_p99", row.lateness_ms)];
            for (figure, value) in figures {
                report.add(format!("{}_{figure}_ms", row.name), value, "ms");
            }
            report.add(format!("{}_ratio", row.name), p99 / quiet, "");
            report.count(format!("{}_gaps", row.name), row.gaps);
            report.add(format!("{}_server_cpu_share", row.name), row.server_share, "processors");
        }
        if p99(row) > PROMISE_MS {
            report.fail(format!("beside {}: p99 {:.1} ms, more than {PROMISE_MS} ms", row.name, p99(row)));
        }
        if row.gaps > 0 {
            report.fail(format!("beside {}: {} gaps", row.name, row.gaps));
        }
    }
}

fn p99(row: &Row) -> f64 {
    let [_, p99, ..] = row.quantiles_ms;
    p99
}
