//! The help text and the docs page.

use config::{SETTINGS, docs_page, help_text};

#[test]
fn the_help_names_every_setting_and_fits_a_terminal() {
    let help = help_text();
    for setting in SETTINGS.iter().filter(|setting| !setting.hidden) {
        assert!(help.contains(setting.name), "{}", setting.name);
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

#[test]
fn the_page_has_a_row_for_what_is_obeyed_and_a_list_of_the_rest() {
    let page = docs_page();
    for setting in SETTINGS {
        if setting.hidden {
            assert!(!page.contains(&format!("`{}`", setting.name)), "{}", setting.name);
            continue;
        }
        let start = match setting.is_live() {
            true => format!("\n| `{}`", setting.name),
            false => format!("\n- `{}`: ", setting.name),
        };
        assert_eq!(page.matches(&start).count(), 1, "{}", setting.name);
    }
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(cells(line), 6, "{line}");
    }
}
