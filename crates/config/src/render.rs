//! The registry for people: `--help`, and the docs page of all settings.

use crate::setting::{Change, Group, Kind, Setting, Status};
use crate::{SETTINGS, words};

/// How wide a line of the help is, in characters.
const WIDTH: usize = 100;
/// Where the explanations of the help begin.
const INDENT: usize = 38;

/// What `--help` prints: every live setting by group, then the names of those
/// that are accepted for later.
#[must_use]
pub fn help_text() -> String {
    let mut text = String::from(
        "Usage: anax [FILE | -] [--name value | --name=value | --name | --noname] ...\n\
         \n\
         FILE has the form of redis.conf; - reads it from standard input. A dash and an underscore\n\
         in a name are alike. Each setting can also stand in the environment as ANAX_name, and the\n\
         password as ANAX_PASSWORD. The command line wins over files, files over the environment.\n\
         \n\
         \x20 --flagfile PATH                     read --name=value lines from a file\n\
         \x20 --help                              print this text\n\
         \x20 --version                           print the version\n",
    );
    for group in Group::ALL {
        let rows: Vec<&Setting> = rows(group).filter(|row| row.is_live()).collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}\n", group.title()));
        for row in rows {
            push_help(&mut text, row);
        }
    }
    push_names(&mut text, "Accepted, to be obeyed later", is_later);
    push_names(&mut text, "Accepted, with nothing to control here", is_inert);
    text
}

fn rows(group: Group) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |row| row.group == group && !row.hidden)
}

fn is_later(row: &Setting) -> bool {
    !row.is_live() && !is_inert(row)
}

fn is_inert(row: &Setting) -> bool {
    row.status == Status::Inert
}

fn push_help(text: &mut String, row: &Setting) {
    let start = format!("  --{} {}", row.name, placeholder(row.kind));
    let about = format!("{} (default {})", row.doc, words::quote(row.default.as_bytes()));
    let about = about.replace("(default \"\")", "(default none)");
    text.push_str(&start);
    let mut column = start.len();
    if column >= INDENT {
        text.push('\n');
        column = 0;
    }
    text.push_str(&" ".repeat(INDENT - column));
    push_wrapped(text, &about, INDENT);
}

/// A word that stands for the value.
fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "yes|no",
        Kind::Int { .. } | Kind::Float { .. } => "N",
        Kind::Bytes { .. } => "BYTES",
        Kind::BytesOrPercent => "BYTES|N%",
        Kind::Octal { .. } => "MODE",
        Kind::Choice(_) => "WORD",
        Kind::Text | Kind::Secret => "TEXT",
        Kind::Custom(rule) if rule.many_words => "WORDS",
        Kind::Custom(_) => "VALUE",
    }
}

/// Words with line breaks between them; the text is at column `indent` already.
fn push_wrapped(text: &mut String, about: &str, indent: usize) {
    let mut column = indent;
    for word in about.split(' ') {
        if column > indent && column + 1 + word.len() > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}

fn push_names(text: &mut String, title: &str, wanted: fn(&Setting) -> bool) {
    let names: Vec<&str> = Group::ALL
        .into_iter()
        .flat_map(rows)
        .filter(|row| wanted(row))
        .map(|row| row.name)
        .collect();
    text.push_str(&format!("\n{title}\n  "));
    push_wrapped(text, &names.join(" "), 2);
}

/// The docs page: a table of what is obeyed today, a list of the rest.
#[must_use]
pub fn docs_page() -> String {
    let mut text = String::from(
        "# Configuration\n\
         \n\
         A setting is given on the command line (`--name value`, `--name=value`, `--name` for yes,\n\
         `--noname` for no), in a file in the form of `redis.conf` whose path comes first on the\n\
         command line, in a flag file (`--flagfile=PATH`, a `--name=value` a line), or in the\n\
         environment (`ANAX_name` or `DFLY_name`; the password also as `ANAX_PASSWORD` or\n\
         `DFLY_PASSWORD`). The command line wins over files, files over the environment. Variables\n\
         in capital letters are not ours and are left alone.\n\
         \n\
         The names of Redis, Valkey and Dragonfly all work. Dashes and underscores are alike, and\n\
         letter case does not matter. Numbers of bytes take the units of Redis: `1k` is 1000,\n\
         `1kb` is 1024, likewise `m`, `mb`, `g` and `gb`.\n\
         \n\
         *CONFIG SET* says whether a setting may be changed while the server runs; *protected* ones\n\
         may where `enable-protected-configs` allows it.\n",
    );
    for group in Group::ALL {
        let mut live = rows(group).filter(|row| row.is_live()).peekable();
        if live.peek().is_none() {
            continue;
        }
        text.push_str(&format!("\n## {}\n\n", group.title()));
        text.push_str(
            "| Setting | Values | Default | CONFIG SET | Meaning |\n|---|---|---|---|---|\n",
        );
        for row in live {
            push_row(&mut text, row);
        }
    }
    text.push_str(
        "\n## Accepted for later\n\nThese are read, checked and kept, and do nothing yet. Giving one \
         a value that asks for\nsomething is logged as a warning at start.\n",
    );
    push_list(&mut text, is_later);
    text.push_str(
        "\n## Accepted, with nothing to control here\n\nThese tune parts that this server does \
         without.\n",
    );
    push_list(&mut text, is_inert);
    text
}

fn push_row(text: &mut String, row: &Setting) {
    let aliases = row.aliases.iter().map(|alias| format!("`{alias}`")).collect::<Vec<_>>();
    let aliases = match aliases.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let default = match row.default {
        "" => "none".to_owned(),
        default => format!("`{default}`"),
    };
    let change = match row.change {
        Change::Anytime => "yes",
        Change::Protected => "protected",
        Change::AtStart | Change::Immutable => "no",
    };
    let only = match row.status {
        Status::LiveFor(values) => format!("; obeyed today: `{}`", values.join("`, `")),
        _ => String::new(),
    };
    let (name, values, doc) = (row.name, row.kind.expects(), row.doc);
    text.push_str(&format!(
        "| `{name}`{aliases} | {values} | {default} | {change} | {doc}{only} |\n"
    ));
}

fn push_list(text: &mut String, wanted: fn(&Setting) -> bool) {
    for group in Group::ALL {
        let mut some = rows(group).filter(|row| wanted(row)).peekable();
        if some.peek().is_none() {
            continue;
        }
        text.push_str(&format!("\n### {}\n\n", group.title()));
        for row in some {
            text.push_str(&format!("- `{}`: {}\n", row.name, row.doc));
        }
    }
}
