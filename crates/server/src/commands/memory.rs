//! MEMORY: what memory is used for, and giving back what is not used.

use command::{Arity, Command, CommandError, Group, Run};
use keyspace::Counts;
use protocol::Reply;

use super::{Call, HELP, Next, SessionRow};
use crate::info::{MemoryUse, human};

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[SessionRow { command: MEMORY, run: memory }];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(2),
    group: Group::Server,
    since: "4.0.0",
    ..Command::BASE
};

const MEMORY: Command = Command {
    name: "MEMORY",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    summary: "Tells what memory is used for.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        DOCTOR,
        Command { since: "4.0.0", ..HELP },
        MALLOC_STATS,
        PURGE,
        STATS,
        families::generic::USAGE,
    ],
    ..BASE
};

const DOCTOR: Command = Command {
    name: "DOCTOR",
    summary: "Says what is wrong with the use of memory, if anything is.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..BASE
};

const MALLOC_STATS: Command = Command {
    name: "MALLOC-STATS",
    summary: "Returns what the allocator and the system tell.",
    complexity: "Depends on how much memory is allocated.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..BASE
};

const PURGE: Command = Command {
    name: "PURGE",
    summary: "Asks the allocator to give back what it holds in reserve.",
    complexity: "Depends on how much memory is allocated.",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..BASE
};

const STATS: Command = Command {
    name: "STATS",
    summary: "Returns what memory is used for, by name.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..BASE
};

fn memory(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let memory = MemoryUse::of(call.batch.server);
    match call.command.name {
        "DOCTOR" => {
            let text = diagnose(&memory, call.batch.settings.maxmemory);
            call.reply().verbatim("txt", text.as_bytes());
        }
        "MALLOC-STATS" => call.reply().verbatim("txt", allocator_text(&memory).as_bytes()),
        "PURGE" => {
            memory::heap::purge();
            call.reply().ok();
        }
        "STATS" => {
            let counts = call.batch.server.database_sizes();
            stats(&mut call.reply(), &memory, &counts);
        }
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

/// A number of MEMORY STATS.
enum Number {
    Count(u64),
    Signed(i64),
    Ratio(f64),
}

/// The map of MEMORY STATS, with the names of Redis. `counts`: what each database holds.
fn stats(reply: &mut Reply<'_>, memory: &MemoryUse, counts: &[Counts]) {
    use Number::{Count, Ratio, Signed};
    let after_start = memory.used.saturating_sub(memory.startup);
    let share = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let (frag, frag_bytes) = MemoryUse::more(memory.resident_heap, memory.used);
    let (rss, rss_bytes) = MemoryUse::more(memory.resident_heap, memory.resident_heap);
    let (over, over_bytes) = MemoryUse::more(memory.resident, memory.resident_heap);
    let (all, all_bytes) = MemoryUse::more(memory.resident, memory.used);
    let before = [
        ("peak.allocated", Count(memory.peak)),
        ("total.allocated", Count(memory.used)),
        ("startup.allocated", Count(memory.startup)),
        ("replication.backlog", Count(0)),
        ("replica.fullsync.buffer", Count(0)),
        ("clients.slaves", Count(0)),
        ("clients.normal", Count(memory.clients)),
        ("cluster.links", Count(0)),
        ("aof.buffer", Count(0)),
        ("lua.caches", Count(0)),
        ("functions.caches", Count(memory.functions)),
        ("script.VMs", Count(0)),
    ];
    let after = [
        ("overhead.db.hashtable.lut", Count(memory.tables)),
        ("overhead.db.hashtable.rehashing", Count(0)),
        ("overhead.total", Count(memory.overhead())),
        ("db.dict.rehashing.count", Count(0)),
        ("keys.count", Count(memory.keys)),
        ("keys.bytes-per-key", Count(after_start.checked_div(memory.keys).unwrap_or(0))),
        ("dataset.bytes", Count(memory.dataset)),
        ("dataset.percentage", Ratio(memory.dataset_percent())),
        ("peak.percentage", Ratio(share(memory.used, memory.peak))),
        ("allocator.allocated", Count(memory.used)),
        ("allocator.active", Count(memory.resident_heap)),
        ("allocator.resident", Count(memory.resident_heap)),
        ("allocator.muzzy", Count(0)),
        ("allocator-fragmentation.ratio", Ratio(frag)),
        ("allocator-fragmentation.bytes", Signed(frag_bytes)),
        ("allocator-rss.ratio", Ratio(rss)),
        ("allocator-rss.bytes", Signed(rss_bytes)),
        ("rss-overhead.ratio", Ratio(over)),
        ("rss-overhead.bytes", Signed(over_bytes)),
        ("fragmentation", Ratio(all)),
        ("fragmentation.bytes", Signed(all_bytes)),
    ];
    let filled: Vec<_> = counts.iter().enumerate().filter(|(_, counts)| counts.keys > 0).collect();
    reply.map(before.len() + filled.len() + after.len());
    before.iter().for_each(|(name, number)| pair(reply, name, number));
    for (db, counts) in filled {
        // Deadlines lie in the records: a table of their own they have not.
        let tables = memory.tables * counts.keys as u64 / memory.keys.max(1);
        reply.bulk_display(format_args!("db.{db}"));
        reply.map(2);
        pair(reply, "overhead.hashtable.main", &Count(tables));
        pair(reply, "overhead.hashtable.expires", &Count(0));
    }
    after.iter().for_each(|(name, number)| pair(reply, name, number));
}

fn pair(reply: &mut Reply<'_>, name: &str, number: &Number) {
    reply.bulk(name.as_bytes());
    match *number {
        Number::Count(count) => reply.integer(count as i64),
        Number::Signed(number) => reply.integer(number),
        Number::Ratio(ratio) => reply.double(ratio),
    }
}

fn allocator_text(memory: &MemoryUse) -> String {
    format!(
        "Allocator: mimalloc, and slabs for keys and short values\n\
         Allocated: {}\n\
         Resident: {}\nResident without the pages of files: {}\n\
         Most ever allocated: {}\nMost ever resident: {}\n",
        memory.used, memory.resident, memory.resident_heap, memory.peak, memory.resident_peak,
    )
}

/// Below so many bytes nothing that could be said of memory means much.
const JUDGED_BYTES_MIN: u64 = 5 << 20;

/// Says in words what is wrong.
fn diagnose(memory: &MemoryUse, maxmemory: u64) -> String {
    if memory.used < JUDGED_BYTES_MIN {
        return "The instance is nearly empty: there is too little to judge.\n".to_owned();
    }
    let mut findings = Vec::new();
    if memory.peak > memory.used + memory.used / 2 {
        findings.push(format!(
            "Peak: at its peak the server used {}, now it uses {}. What the system has given it \
             may not all have come back; MEMORY PURGE asks for it.",
            human(memory.peak),
            human(memory.used),
        ));
    }
    if memory.resident_heap > memory.used + memory.used / 2 + JUDGED_BYTES_MIN {
        findings.push(format!(
            "Fragmentation: {} of the machine's memory hold {} in use. It settles as records are \
             moved together; MEMORY PURGE gives back what lies free at once.",
            human(memory.resident_heap),
            human(memory.used),
        ));
    }
    if memory.clients > memory.used / 4 {
        findings.push(format!(
            "Clients: {} wait for clients or came from them unfinished. CLIENT LIST shows whose \
             they are (qbuf, omem).",
            human(memory.clients),
        ));
    }
    if maxmemory > 0 && memory.used > maxmemory - maxmemory / 10 {
        findings.push(format!(
            "Limit: {} of {} are in use. Commands that need more will be refused soon.",
            human(memory.used),
            human(maxmemory),
        ));
    }
    match findings[..] {
        [] => "Nothing is wrong with the use of memory.\n".to_owned(),
        _ => {
            let lines = findings.iter().map(|finding| format!(" * {finding}\n"));
            format!("What stands out in the use of memory:\n\n{}", lines.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_names_what_stands_out_and_nothing_else() {
        let healthy = MemoryUse {
            used: 100 << 20,
            peak: 100 << 20,
            resident_heap: 110 << 20,
            resident: 120 << 20,
            ..MemoryUse::default()
        };
        assert!(diagnose(&MemoryUse::default(), 0).contains("too little"));
        assert!(diagnose(&healthy, 0).starts_with("Nothing is wrong"));
        let cases = [
            ("Peak", MemoryUse { peak: 200 << 20, ..healthy }, 0),
            ("Fragmentation", MemoryUse { resident_heap: 200 << 20, ..healthy }, 0),
            ("Clients", MemoryUse { clients: 50 << 20, ..healthy }, 0),
            ("Limit", healthy, 105 << 20),
        ];
        for (word, memory, maxmemory) in cases {
            let text = diagnose(&memory, maxmemory);
            assert_eq!(text.matches(" * ").count(), 1, "{text}");
            assert!(text.contains(&format!(" * {word}")), "{text}");
        }
    }
}
