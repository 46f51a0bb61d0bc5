//! Plots as SVG text: bar charts and latency curves.
//!
//! The background is transparent and the colours have a second set for dark
//! pages, so a plot can be read on either. Every bar and every
//! curve bears its name, and bars bear their values.

use std::fmt::Write;

/// Width of a plot, of the column of names on its left and of the room for values on its right.
const WIDTH: f64 = 800.0;
const NAMES: f64 = 210.0;
const VALUES: f64 = 115.0;

/// Height of the title and of the legend below it.
const TOP: f64 = 64.0;

/// Height of a bar, and of the room between two groups.
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;

/// Height of the field of curves, and of the room below it.
const FIELD: f64 = 320.0;
const BOTTOM: f64 = 52.0;

/// Height of a line of text.
const LINE: f64 = 15.0;

/// The style of all plots; a series has the class `s` (areas) or `l` (lines) and its number.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-size:16px;font-weight:600}.f{fill:#6e7781}\
.g{stroke:#8c959f;stroke-width:.5;stroke-dasharray:2 3}path{fill:none;stroke-width:2}\
.s0{fill:#0969da}.s1{fill:#bc4c00}.s2{fill:#8250df}.s3{fill:#1a7f37}.s4{fill:#bf3989}.s5{fill:#7d4e00}\
.l0{stroke:#0969da}.l1{stroke:#bc4c00}.l2{stroke:#8250df}.l3{stroke:#1a7f37}.l4{stroke:#bf3989}.l5{stroke:#7d4e00}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.f{fill:#9198a1}\
.s0{fill:#58a6ff}.s1{fill:#ffa657}.s2{fill:#bc8cff}.s3{fill:#56d364}.s4{fill:#ff7bd0}.s5{fill:#d8b56b}\
.l0{stroke:#58a6ff}.l1{stroke:#ffa657}.l2{stroke:#bc8cff}.l3{stroke:#56d364}.l4{stroke:#ff7bd0}.l5{stroke:#d8b56b}}";

/// How many series have a colour of their own.
const COLOURS: usize = 6;

/// Bars in groups, each from the left to its value.
pub(crate) struct BarChart {
    /// What is shown.
    pub(crate) title: String,
    /// The unit of the values.
    pub(crate) unit: String,
    /// Whether a full bar is the largest of its group, rather than of all.
    pub(crate) own_scales: bool,
    /// All series, in the order of their colours.
    pub(crate) series: Vec<String>,
    /// The groups from top to bottom.
    pub(crate) groups: Vec<Group>,
}

/// Bars that are compared with each other.
pub(crate) struct Group {
    /// What they have in common.
    pub(crate) name: String,
    /// Their series and values.
    pub(crate) bars: Vec<(String, f64)>,
}

impl BarChart {
    /// The plot's text.
    pub(crate) fn render(&self) -> String {
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = TOP + bars as f64 * BAR + self.groups.len() as f64 * GAP;
        let mut page = Page::new(&self.title, height, &self.series);
        let all = largest(self.groups.iter().flat_map(|group| &group.bars));
        let mut y = TOP;
        for group in &self.groups {
            page.text("", 8.0, y + 13.0, &group.name);
            let full = if self.own_scales { largest(&group.bars) } else { all };
            for (series, value) in &group.bars {
                self.bar(&mut page, y, series, *value, full);
                y += BAR;
            }
            y += GAP;
        }
        page.end()
    }

    fn bar(&self, page: &mut Page, y: f64, series: &str, value: f64, full: f64) {
        let colour = colour(&self.series, series);
        let length = (WIDTH - NAMES - VALUES) * (value / full).clamp(0.0, 1.0);
        let height = BAR - 3.0;
        page.add(format_args!(
            "<rect class=\"s{colour}\" x=\"{NAMES}\" y=\"{y:.1}\" width=\"{length:.1}\" \
             height=\"{height}\" rx=\"2\"><title>{}</title></rect>",
            escape(series)
        ));
        let label = format!("{} {}", figure(value), self.unit);
        page.text("", NAMES + length + 6.0, y + 12.0, &label);
    }
}

/// Latency over the share of requests that were as fast.
pub(crate) struct Curves {
    /// What is shown.
    pub(crate) title: String,
    /// All series, in the order of their colours.
    pub(crate) series: Vec<String>,
    /// For each series its points: share of the requests, latency in ms.
    pub(crate) curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Curves {
    /// The plot's text. Both axes are logarithmic, the share by what is left of it:
    /// 90 %, 99 % and 99.9 % lie at equal distances.
    pub(crate) fn render(&self) -> String {
        let mut page = Page::new(&self.title, TOP + FIELD + BOTTOM, &self.series);
        let values = self.curves.iter().flat_map(|(_, points)| points.iter().map(|p| p.1));
        let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let low = positive.iter().copied().fold(f64::INFINITY, f64::min).min(1e3);
        let high = positive.iter().copied().fold(1e-3, f64::max);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let (bottom, top) = (f64::from(*decades.start()), f64::from(*decades.end()));
        let y = |ms: f64| {
            let part = (ms.max(1e-9).log10() - bottom) / (top - bottom).max(1.0);
            TOP + FIELD * (1.0 - part.clamp(0.0, 1.0))
        };
        for decade in decades {
            let ms = 10_f64.powi(decade);
            page.grid_line((60.0, y(ms)), (WIDTH - VALUES, y(ms)));
            page.text("f", 4.0, y(ms) + 4.0, &format!("{ms} ms"));
        }
        for (share, name) in
            [(0.0, "0 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
        {
            page.grid_line((share_x(share), TOP), (share_x(share), TOP + FIELD));
            page.text("f", share_x(share) - 14.0, TOP + FIELD + 18.0, name);
        }
        page.text(
            "f",
            60.0,
            TOP + FIELD + 40.0,
            "share of the requests that were as fast or faster",
        );
        for (series, points) in &self.curves {
            self.curve(&mut page, series, points, &y);
        }
        self.labels(&mut page, &y);
        page.end()
    }

    /// Names each curve at its end; names that would meet move apart.
    fn labels(&self, page: &mut Page, y: &dyn Fn(f64) -> f64) {
        let ends = self.curves.iter().filter_map(|(series, points)| Some((series, points.last()?)));
        let mut ends: Vec<_> = ends.map(|(series, end)| (y(end.1) + 4.0, series, *end)).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = 0.0;
        for (wanted, series, (share, ms)) in ends {
            let at = f64::max(wanted, free);
            page.text("", share_x(share) + 6.0, at, &format!("{series} {}", figure(ms)));
            free = at + LINE;
        }
    }

    fn curve(&self, page: &mut Page, series: &str, points: &[(f64, f64)], y: &dyn Fn(f64) -> f64) {
        let mut path = String::new();
        for (at, (share, ms)) in points.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{step}{:.1} {:.1}", share_x(*share), y(*ms)));
        }
        let colour = colour(&self.series, series);
        page.add(format_args!("<path class=\"l{colour}\" d=\"{path}\"/>"));
    }
}

/// Where a share lies on the axis.
fn share_x(share: f64) -> f64 {
    let nines = -(1.0 - share).max(1e-4).log10();
    60.0 + (WIDTH - VALUES - 60.0) * nines / 4.0
}

/// SVG text that grows.
struct Page(String);

impl Page {
    /// Begins with a title and a legend.
    fn new(title: &str, height: f64, series: &[String]) -> Self {
        let mut page = Self(String::new());
        page.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">"
        ));
        page.add(format_args!("<title>{}</title>", escape(title)));
        page.add(format_args!("<style>{STYLE}</style>"));
        page.text("t", 8.0, 22.0, title);
        let mut x = 8.0;
        for (at, name) in series.iter().enumerate() {
            let colour = at % COLOURS;
            page.add(format_args!(
                "<rect class=\"s{colour}\" x=\"{x:.1}\" y=\"36\" width=\"11\" height=\"11\" rx=\"2\"/>"
            ));
            page.text("", x + 16.0, 46.0, name);
            x += 36.0 + 8.0 * name.chars().count() as f64;
        }
        page
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{arguments}").expect("a string takes what is written to it");
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escape(text);
        self.add(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
    }

    fn grid_line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.add(format_args!(
            "<line class=\"g\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// The largest value of some bars; never zero.
fn largest<'a>(bars: impl IntoIterator<Item = &'a (String, f64)>) -> f64 {
    bars.into_iter().map(|(_, value)| *value).fold(1e-9, f64::max)
}

fn colour(all: &[String], series: &str) -> usize {
    all.iter().position(|name| name == series).unwrap_or(0) % COLOURS
}

/// A value with three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Text that cannot be taken for markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that elements nest and close, attributes are quoted and nothing is left bare.
    fn check_well_formed(svg: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = svg;
        while let Some(at) = rest.find('<') {
            check_text(&rest[..at]);
            let end = at + rest[at..].find('>').expect("a tag ends");
            let tag = &rest[at + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "closes what is open");
                continue;
            }
            let body = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
            assert!(name.chars().all(char::is_alphanumeric), "{tag}");
            assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
            assert_eq!(attributes.matches("=\"").count() * 2, attributes.matches('"').count());
            if body == tag {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert_eq!(rest.trim(), "");
    }

    /// Every `&` begins an entity.
    fn check_text(text: &str) {
        for (at, _) in text.match_indices('&') {
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
            assert!(entities.iter().any(|entity| text[at..].starts_with(entity)), "{text}");
        }
    }

    fn names() -> Vec<String> {
        ["anax", "a<b>&\"c\""].map(str::to_owned).to_vec()
    }

    fn chart(values: [f64; 2]) -> BarChart {
        let bars = names().into_iter().zip(values).collect();
        BarChart {
            title: "CPU <&>".to_owned(),
            unit: "us".to_owned(),
            own_scales: true,
            series: names(),
            groups: vec![Group { name: "GET & SET".to_owned(), bars }],
        }
    }

    #[test]
    fn a_bar_chart_is_well_formed_and_names_its_values() {
        let svg = chart([5.25, 123.4]).render();
        check_well_formed(&svg);
        for text in [">5.25 us<", ">123 us<", ">GET &amp; SET<", ">anax<", "prefers-color-scheme"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn the_largest_bar_is_full_and_the_others_in_proportion() {
        let svg = chart([50.0, 100.0]).render();
        let full = WIDTH - NAMES - VALUES;
        assert!(svg.contains(&format!("width=\"{full:.1}\"")));
        assert!(svg.contains(&format!("width=\"{:.1}\"", full / 2.0)));
    }

    #[test]
    fn odd_values_make_no_odd_plot() {
        for values in [[0.0, 0.0], [-3.0, 1.0], [f64::NAN, 1.0]] {
            let svg = chart(values).render();
            check_well_formed(&svg);
            assert!(!svg.contains("width=\"-") && !svg.contains("width=\"inf"));
        }
        let empty = BarChart { groups: Vec::new(), ..chart([0.0, 0.0]) };
        check_well_formed(&empty.render());
    }

    #[test]
    fn curves_are_well_formed_and_end_with_their_names() {
        let points = vec![(0.0, 0.05), (0.5, 0.1), (0.9, 0.4), (0.9999, 12.0)];
        let curves = names().into_iter().map(|name| (name, points.clone())).collect();
        let svg = Curves { title: "L".to_owned(), series: names(), curves }.render();
        check_well_formed(&svg);
        assert!(svg.contains(">anax 12.0<") && svg.contains(">99.99 %<"));
        let none = Curves { title: "L".to_owned(), series: names(), curves: Vec::new() };
        check_well_formed(&none.render());
    }

    #[test]
    fn names_of_curves_that_end_together_lie_apart() {
        let curves = names().into_iter().map(|name| (name, vec![(0.0, 1.0), (0.9999, 10.0)]));
        let curves = Curves { title: String::new(), series: names(), curves: curves.collect() };
        let svg = curves.render();
        let label = |start: &str| {
            let line = svg.lines().find(|line| line.contains(start)).unwrap();
            line.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
        };
        assert!((label(">anax 10.0<") - label("&quot; 10.0<")).abs() >= LINE);
    }

    #[test]
    fn shares_lie_at_equal_distances_by_their_nines() {
        let step = share_x(0.99) - share_x(0.9);
        assert!((share_x(0.999) - share_x(0.99) - step).abs() < 1e-6);
        assert!((share_x(0.9) - share_x(0.0) - step).abs() < 1e-6);
    }
}
