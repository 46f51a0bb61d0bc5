//! What the server is and when it ends: TIME, ROLE, LASTSAVE, SHUTDOWN, MODULE, LOLWUT.

use command::{
    Args, Arity, Category, Command, CommandError, Done, Flags, Group, Reply, Run, View,
    parse_integer,
};

use super::{Call, HELP, Next, SessionRow};
use crate::info::VERSION;

/// The rows of this family.
pub(super) const ROWS: &[SessionRow] = &[
    SessionRow { command: TIME, run: time },
    SessionRow { command: ROLE, run: role },
    SessionRow { command: LASTSAVE, run: lastsave },
    SessionRow { command: SHUTDOWN, run: shutdown },
    SessionRow { command: MODULE, run: module },
];

const BASE: Command = Command {
    run: Run::Session,
    arity: Arity::Exactly(1),
    group: Group::Server,
    since: "1.0.0",
    ..Command::BASE
};

const TIME: Command = Command {
    name: "TIME",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    since: "2.6.0",
    summary: "Returns the server's time: seconds since the epoch, and microseconds of the second.",
    tips: &["nondeterministic_output"],
    ..BASE
};

/// `TIME`. It stands still in a script and in EXEC, to the millisecond.
fn time(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let stands = call.session.is_in_script || call.session.executing;
    let micros = match stands {
        true => call.batch.now * 1000,
        false => call.batch.server.clock.unix_micros(),
    };
    let mut reply = call.reply();
    reply.array(2);
    reply.bulk_i64((micros / 1_000_000) as i64);
    reply.bulk_i64((micros % 1_000_000) as i64);
    Ok(Next::Done)
}

const ROLE: Command = Command {
    name: "ROLE",
    flags: Flags::NO_SCRIPT
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::FAST)
        .and(Flags::SENTINEL),
    category: Category::ADMIN.and(Category::DANGEROUS),
    since: "2.8.12",
    summary: "Returns the server's part in replication.",
    ..BASE
};

fn role(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let mut reply = call.reply();
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(Next::Done)
}

const LASTSAVE: Command = Command {
    name: "LASTSAVE",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    category: Category::ADMIN.and(Category::DANGEROUS),
    summary: "Returns when the data was last saved, in seconds since the epoch.",
    tips: &["nondeterministic_output"],
    ..BASE
};

/// As long as nothing was saved, that is when the server started.
fn lastsave(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let seconds = call.batch.server.clock.started_unix_seconds();
    call.reply().integer(seconds as i64);
    Ok(Next::Done)
}

const SHUTDOWN: Command = Command {
    name: "SHUTDOWN",
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::NO_MULTI)
        .and(Flags::SENTINEL)
        .and(Flags::ALLOW_BUSY),
    summary: "Ends the server.",
    complexity: "O(N) when saving, where N is the number of keys; O(1) otherwise",
    syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    history: &[("7.0.0", "`NOW`, `FORCE` and `ABORT`.")],
    ..BASE
};

/// What SHUTDOWN is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ending {
    save: bool,
    no_save: bool,
    now: bool,
    force: bool,
    abort: bool,
}

impl Ending {
    fn parse(args: Args<'_>) -> Result<Ending, CommandError> {
        let mut ending = Ending::default();
        for word in args.rest() {
            let Ending { save, no_save, now, force, abort } = &mut ending;
            let words: [(&[u8], &mut bool); 6] = [
                (b"SAVE", save),
                (b"NOSAVE", no_save),
                (b"NOW", now),
                (b"FORCE", force),
                (b"ABORT", abort),
                // Failing over has nobody to fail over to, and asking for safety refuses nothing.
                (b"SAFE", &mut false),
            ];
            let known = words.into_iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
            *known.ok_or(CommandError::Syntax)?.1 = true;
        }
        let Ending { save, no_save, now, force, abort } = ending;
        if (save && no_save) || (abort && (save || no_save || now || force)) {
            return Err(CommandError::Syntax);
        }
        Ok(ending)
    }
}

/// The data is in memory only: it cannot be saved, and unless that is asked for nothing is lost
/// that was promised.
fn shutdown(call: &mut Call<'_>) -> Result<Next, CommandError> {
    let ending = Ending::parse(call.args())?;
    if ending.abort {
        return Err(CommandError::text("ERR No shutdown in progress."));
    }
    if ending.save && !ending.force {
        tracing::warn!("SHUTDOWN SAVE: the server does not save its data, so it does not end");
        return Err(CommandError::text("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    tracing::info!(client = call.session.client.address, "SHUTDOWN");
    call.batch.server.shut_down();
    Ok(Next::Close)
}

const MODULE: Command = Command {
    name: "MODULE",
    run: Run::Container,
    arity: Arity::AtLeast(2),
    since: "4.0.0",
    summary: "Tells of modules, of which there are none.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        HELP,
        Command {
            name: "LIST",
            arity: Arity::Exactly(2),
            flags: Flags::ADMIN.and(Flags::NO_SCRIPT),
            since: "4.0.0",
            summary: "Returns the modules that are loaded.",
            complexity: "O(N) where N is the number of modules",
            tips: &["nondeterministic_output_order"],
            ..BASE
        },
    ],
    ..BASE
};

fn module(call: &mut Call<'_>) -> Result<Next, CommandError> {
    match call.command.name {
        "LIST" => call.reply().array(0),
        _ => return Ok(call.help()),
    }
    Ok(Next::Done)
}

pub(super) const LOLWUT: Command = Command {
    name: "LOLWUT",
    run: Run::Read(lolwut),
    arity: Arity::AtLeast(1),
    flags: Flags::FAST,
    since: "5.0.0",
    summary: "Draws something, and tells the version.",
    complexity: "",
    syntax: "[VERSION version-number] [seed]",
    ..BASE
};

/// Width and height of the drawing in characters.
const CANVAS: (usize, usize) = (64, 16);

fn lolwut(mut args: Args<'_>, keys: &View<'_>, reply: &mut Reply<'_>) -> Done {
    if args.word_with_value("VERSION") {
        parse_integer(args.bytes()?).ok_or(CommandError::NotAnInteger)?;
    }
    let seed = args.get(0).and_then(parse_integer).map(|seed| seed as u64);
    let mut text = waves(seed.unwrap_or(keys.frame().chance));
    text.push_str("\nWaves from three stones thrown into a pond. Anax ver. ");
    text.push_str(VERSION);
    text.push('\n');
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Rings around three places, where they meet the higher ones.
fn waves(seed: u64) -> String {
    const SHADES: &[u8] = b" .:-=+*#";
    const STONES: u64 = 3;
    let mut state = seed;
    let mut draw = |below: usize| -> f64 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((state >> 33) as usize % below) as f64
    };
    let (width, height) = CANVAS;
    // A character is twice as high as wide.
    let stones: Vec<(f64, f64, f64)> =
        (0..STONES).map(|_| (draw(width), 2.0 * draw(height), 9.0 + draw(12))).collect();
    let mut text = String::new();
    for row in 0..height {
        for column in 0..width {
            let wave = |&(x, y, length): &(f64, f64, f64)| {
                let away = (column as f64 - x).hypot(2.0 * row as f64 - y);
                (away / length * std::f64::consts::TAU).cos() / (1.0 + away / 24.0)
            };
            let level = stones.iter().map(wave).sum::<f64>() / STONES as f64 * 0.5 + 0.5;
            let shade = (level * SHADES.len() as f64) as usize;
            text.push(char::from(SHADES[shade.min(SHADES.len() - 1)]));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_fits_its_canvas_and_follows_from_its_seed() {
        let drawing = waves(7);
        assert_eq!(drawing, waves(7));
        assert_ne!(drawing, waves(8));
        assert!(drawing.lines().all(|line| line.len() <= CANVAS.0));
        for seed in 0..200 {
            assert!(waves(seed).lines().count() <= CANVAS.1);
        }
    }
}
