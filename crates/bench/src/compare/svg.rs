//! Plots as SVG text: bar charts and latency curves.
//!
//! A plot has a background of its own and two sets of colours, one for light
//! pages and one for dark ones: text that counted on the page's background would
//! vanish wherever page and colours disagree. Every bar and every curve bears its
//! name, and bars bear their values.

use std::fmt::Write;

/// Width of a plot, of the column of names on its left and of the room for values on its right.
const WIDTH: f64 = 800.0;
const NAMES: f64 = 210.0;
const VALUES: f64 = 115.0;

/// The empty edge on all sides.
const EDGE: f64 = 12.0;

/// Height of the title, and of a row of the legend below it.
const TITLE: f64 = 34.0;
const LEGEND: f64 = 22.0;

/// Room that a name takes in the legend: for its mark, and for each letter.
const LEGEND_MARK: f64 = 36.0;
const LETTER: f64 = 8.0;

/// Height of a bar, and of the room between two groups.
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;

/// Height of the field of curves, and of the room below a field for its axis.
const FIELD: f64 = 320.0;
const AXIS: f64 = 52.0;

/// Where the field of curves begins, right of the names of its axis, and where it
/// ends, left of the names of the curves.
const FIELD_LEFT: f64 = 84.0;
const FIELD_RIGHT: f64 = 630.0;

/// Height of a line of text.
const LINE: f64 = 15.0;

/// Most lines across a bar chart.
const TICKS_MAX: f64 = 6.0;

/// The style of all plots; a series has the class `s` (areas) or `l` (lines) and its colour.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-size:16px;font-weight:600}.f{fill:#57606a}.e{text-anchor:end}\
.m{text-anchor:middle}.b{fill:#fff}.g{stroke:#8c959f;stroke-width:.5;stroke-dasharray:2 3}path{fill:none;stroke-width:2}\
.s0{fill:#0969da}.s1{fill:#bc4c00}.s2{fill:#8250df}.s3{fill:#1a7f37}\
.s4{fill:#bf3989}.s5{fill:#7d4e00}.s6{fill:#0b7285}.s7{fill:#57606a}\
.l0{stroke:#0969da}.l1{stroke:#bc4c00}.l2{stroke:#8250df}.l3{stroke:#1a7f37}\
.l4{stroke:#bf3989}.l5{stroke:#7d4e00}.l6{stroke:#0b7285}.l7{stroke:#57606a}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.f{fill:#9198a1}.b{fill:#0d1117}\
.s0{fill:#58a6ff}.s1{fill:#ffa657}.s2{fill:#bc8cff}.s3{fill:#56d364}\
.s4{fill:#ff7bd0}.s5{fill:#d8b56b}.s6{fill:#39c5cf}.s7{fill:#adbac7}\
.l0{stroke:#58a6ff}.l1{stroke:#ffa657}.l2{stroke:#bc8cff}.l3{stroke:#56d364}\
.l4{stroke:#ff7bd0}.l5{stroke:#d8b56b}.l6{stroke:#39c5cf}.l7{stroke:#adbac7}}";

/// How many series have a colour of their own.
const COLOURS: usize = 8;

/// What is compared: the name of a series and its colour.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its name, which bars and curves repeat.
    pub(crate) name: String,
    /// The number of its colour.
    pub(crate) colour: usize,
}

/// Bars in groups, each from the left to its value.
pub(crate) struct BarChart {
    /// What is shown.
    pub(crate) title: String,
    /// What a bar means, for the axis.
    pub(crate) note: &'static str,
    /// The unit of the values.
    pub(crate) unit: &'static str,
    /// Whether a full bar is the largest of its group, rather than of all.
    pub(crate) own_scales: bool,
    /// All series.
    pub(crate) series: Vec<Series>,
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
        let field = bars as f64 * BAR + self.groups.len() as f64 * GAP;
        let mut page = Page::new(&self.title, field + AXIS, &self.series);
        let all = largest(self.groups.iter().flat_map(|group| &group.bars));
        self.axis(&mut page, field, all);
        let mut y = page.top;
        for group in &self.groups {
            page.text("", EDGE, y + 13.0, &group.name);
            let full = if self.own_scales { largest(&group.bars) } else { all };
            for (series, value) in &group.bars {
                self.bar(&mut page, y, series, *value, full);
                y += BAR;
            }
            y += GAP;
        }
        page.end()
    }

    /// Lines across the field with their values, where all groups have one scale.
    fn axis(&self, page: &mut Page, field: f64, full: f64) {
        let bottom = page.top + field;
        let mut note = self.note.to_owned();
        if self.own_scales {
            note.push_str("; each group has its own scale");
        } else {
            let step = tick_step(full);
            let mut value = 0.0;
            while value <= full {
                let x = NAMES + bar_length(value, full);
                page.grid_line((x, page.top - 4.0), (x, bottom));
                page.text("f m", x, bottom + 12.0, &format!("{} {}", round(value), self.unit));
                value += step;
            }
        }
        page.text("f", EDGE, bottom + 36.0, &note);
    }

    fn bar(&self, page: &mut Page, y: f64, series: &str, value: f64, full: f64) {
        let colour = colour(&self.series, series);
        let length = bar_length(value, full);
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

/// How long a bar is.
fn bar_length(value: f64, full: f64) -> f64 {
    (WIDTH - NAMES - VALUES) * (value / full).clamp(0.0, 1.0)
}

/// The distance of the lines across a field: 1, 2 or 5 times a power of ten.
fn tick_step(full: f64) -> f64 {
    let least = full / TICKS_MAX;
    let power = 10_f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
    factors.unwrap_or(10.0) * power
}

/// Latency over the share of requests that were as fast.
pub(crate) struct Curves {
    /// What is shown.
    pub(crate) title: String,
    /// All series.
    pub(crate) series: Vec<Series>,
    /// For each series its points: share of the requests, latency in ms.
    pub(crate) curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// Where a latency lies: the field's top edge and the decades that it spans.
#[derive(Clone, Copy)]
struct Scale {
    top: f64,
    lowest: i32,
    highest: i32,
}

impl Scale {
    fn y(self, ms: f64) -> f64 {
        let decades = f64::from(self.highest - self.lowest).max(1.0);
        let part = (ms.max(1e-9).log10() - f64::from(self.lowest)) / decades;
        self.top + FIELD * (1.0 - part.clamp(0.0, 1.0))
    }
}

impl Curves {
    /// The plot's text. Both axes are logarithmic, the share by what is left of it:
    /// 90 %, 99 % and 99.9 % lie at equal distances.
    pub(crate) fn render(&self) -> String {
        let mut page = Page::new(&self.title, FIELD + AXIS, &self.series);
        let scale = self.scale(page.top);
        axes(&mut page, scale);
        for (series, points) in &self.curves {
            self.curve(&mut page, series, points, scale);
        }
        self.labels(&mut page, scale);
        page.end()
    }

    fn scale(&self, top: f64) -> Scale {
        let values = self.curves.iter().flat_map(|(_, points)| points.iter().map(|p| p.1));
        let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let low = positive.iter().copied().fold(f64::INFINITY, f64::min).min(1e3);
        let high = positive.iter().copied().fold(1e-3, f64::max);
        Scale { top, lowest: low.log10().floor() as i32, highest: high.log10().ceil() as i32 }
    }

    /// Names each curve at its end; names that would meet move apart.
    fn labels(&self, page: &mut Page, scale: Scale) {
        let ends = self.curves.iter().filter_map(|(series, points)| Some((series, points.last()?)));
        let mut ends: Vec<_> =
            ends.map(|(series, end)| (scale.y(end.1) + 4.0, series, *end)).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut wanted: Vec<f64> = ends.iter().map(|end| end.0).collect();
        move_apart(&mut wanted, scale.top + FIELD);
        for ((_, series, (share, ms)), at) in ends.iter().zip(wanted) {
            page.text("", share_x(*share) + 6.0, at, &format!("{series}: {}", figure(*ms)));
        }
    }

    fn curve(&self, page: &mut Page, series: &str, points: &[(f64, f64)], scale: Scale) {
        let mut path = String::new();
        for (at, (share, ms)) in points.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{step}{:.1} {:.1}", share_x(*share), scale.y(*ms)));
        }
        let colour = colour(&self.series, series);
        page.add(format_args!("<path class=\"l{colour}\" d=\"{path}\"/>"));
    }
}

/// Lines across the field of curves, with the names of both axes.
fn axes(page: &mut Page, scale: Scale) {
    let bottom = scale.top + FIELD;
    for decade in scale.lowest..=scale.highest {
        let ms = 10_f64.powi(decade);
        page.grid_line((FIELD_LEFT, scale.y(ms)), (FIELD_RIGHT, scale.y(ms)));
        page.text("f e", FIELD_LEFT - 6.0, scale.y(ms) + 4.0, &format!("{ms} ms"));
    }
    for (share, name) in
        [(0.0, "0 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    {
        page.grid_line((share_x(share), scale.top), (share_x(share), bottom));
        page.text("f m", share_x(share), bottom + 18.0, name);
    }
    let note = "latency in milliseconds over the share of the requests that were as fast or faster";
    page.text("f", FIELD_LEFT, bottom + 40.0, note);
}

/// Moves places apart, which are in ascending order, so that a line of text fits
/// at each: down, and then up from the bottom of the field.
fn move_apart(places: &mut [f64], bottom: f64) {
    let mut free = f64::NEG_INFINITY;
    for place in places.iter_mut() {
        *place = place.max(free);
        free = *place + LINE;
    }
    let mut free = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(free);
        free = *place - LINE;
    }
}

/// Where a share lies on the axis.
fn share_x(share: f64) -> f64 {
    let nines = -(1.0 - share).max(1e-4).log10();
    FIELD_LEFT + (FIELD_RIGHT - FIELD_LEFT) * nines / 4.0
}

/// SVG text that grows.
struct Page {
    text: String,
    /// Where the field below title and legend begins.
    top: f64,
}

impl Page {
    /// Begins with a title and a legend, above a field of that height.
    fn new(title: &str, field: f64, series: &[Series]) -> Self {
        let marks = legend(series);
        let rows = marks.last().map_or(0.0, |(_, row)| row + 1.0);
        let top = TITLE + LEGEND * rows + 10.0;
        let mut page = Self { text: String::new(), top };
        let height = top + field;
        page.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">"
        ));
        page.add(format_args!("<title>{}</title>", escape(title)));
        page.add(format_args!("<style>{STYLE}</style>"));
        page.add(format_args!("<rect class=\"b\" width=\"{WIDTH}\" height=\"{height:.0}\"/>"));
        page.text("t", EDGE, 24.0, title);
        for (one, (x, row)) in series.iter().zip(marks) {
            let (colour, y) = (one.colour % COLOURS, TITLE + LEGEND * row);
            page.add(format_args!(
                "<rect class=\"s{colour}\" x=\"{x:.1}\" y=\"{y}\" width=\"11\" height=\"11\" rx=\"2\"/>"
            ));
            page.text("", x + 16.0, y + 10.0, &one.name);
        }
        page
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{arguments}").expect("a string takes what is written to it");
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
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Where each name of the legend begins: x, and the number of its row.
fn legend(series: &[Series]) -> Vec<(f64, f64)> {
    let (mut x, mut row) = (EDGE, 0.0);
    let place = |one: &Series| {
        let width = LEGEND_MARK + LETTER * one.name.chars().count() as f64;
        if x > EDGE && x + width > WIDTH {
            (x, row) = (EDGE, row + 1.0);
        }
        let place = (x, row);
        x += width;
        place
    };
    series.iter().map(place).collect()
}

/// The largest value of some bars; never zero.
fn largest<'a>(bars: impl IntoIterator<Item = &'a (String, f64)>) -> f64 {
    bars.into_iter().map(|(_, value)| *value).fold(1e-9, f64::max)
}

fn colour(all: &[Series], name: &str) -> usize {
    all.iter().find(|series| series.name == name).map_or(0, |series| series.colour) % COLOURS
}

/// A round value without the zeros behind its point.
fn round(value: f64) -> String {
    let text = figure(value);
    let digits = text.trim_end_matches('0');
    if text.contains('.') { digits.trim_end_matches('.').to_owned() } else { text }
}

/// A value with three digits that matter; thousands as `k`, millions as `M`.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 999_500.0 => format!("{:.2}M", value / 1e6),
        size if size >= 9_995.0 => format!("{:.0}k", value / 1e3),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
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

    fn series() -> Vec<Series> {
        names().into_iter().enumerate().map(|(colour, name)| Series { name, colour }).collect()
    }

    fn chart(values: [f64; 2]) -> BarChart {
        let bars = names().into_iter().zip(values).collect();
        BarChart {
            title: "CPU <&>".to_owned(),
            note: "time",
            unit: "us",
            own_scales: true,
            series: series(),
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
        let svg = Curves { title: "L".to_owned(), series: series(), curves }.render();
        check_well_formed(&svg);
        assert!(svg.contains(">anax: 12.0<") && svg.contains(">99.99 %<"));
        let none = Curves { title: "L".to_owned(), series: series(), curves: Vec::new() };
        check_well_formed(&none.render());
    }

    #[test]
    fn names_of_curves_that_end_together_lie_apart() {
        let curves = names().into_iter().map(|name| (name, vec![(0.0, 1.0), (0.9999, 10.0)]));
        let curves = Curves { title: String::new(), series: series(), curves: curves.collect() };
        let svg = curves.render();
        let label = |start: &str| {
            let line = svg.lines().find(|line| line.contains(start)).unwrap();
            line.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
        };
        assert!((label(">anax: 10.0<") - label("&quot;: 10.0<")).abs() >= LINE);
    }

    #[test]
    fn shares_lie_at_equal_distances_by_their_nines() {
        let step = share_x(0.99) - share_x(0.9);
        assert!((share_x(0.999) - share_x(0.99) - step).abs() < 1e-6);
        assert!((share_x(0.9) - share_x(0.0) - step).abs() < 1e-6);
    }

    #[test]
    fn an_axis_for_all_groups_has_round_values() {
        for (full, step) in [(6.0, 1.0), (133.3, 50.0), (97.0, 20.0), (0.05, 0.01), (1e-9, 2e-10)] {
            assert!((tick_step(full) / step - 1.0).abs() < 1e-9, "{full}: {}", tick_step(full));
        }
        let svg = BarChart { own_scales: false, ..chart([50.0, 97.0]) }.render();
        check_well_formed(&svg);
        for text in [">0 us<", ">20 us<", ">80 us<"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_long_legend_takes_several_rows_and_none_leaves_the_page() {
        let many: Vec<Series> = (0..12)
            .map(|colour| Series { name: format!("server {colour} 1.2.3"), colour })
            .collect();
        let places = legend(&many);
        assert!(places.last().is_some_and(|place| place.1 >= 2.0));
        assert!(places.iter().all(|place| place.0 + LEGEND_MARK < WIDTH));
        assert!(places.windows(2).all(|pair| pair[0] < pair[1] || pair[0].1 < pair[1].1));
    }

    #[test]
    fn a_series_keeps_its_colour_when_others_are_left_out() {
        let alone = vec![Series { name: "redis".to_owned(), colour: 2 }];
        assert_eq!(colour(&alone, "redis"), 2);
        let svg = BarChart { series: alone, ..chart([1.0, 2.0]) }.render();
        assert!(svg.contains("<rect class=\"s2\""));
    }

    #[test]
    fn names_at_the_bottom_move_up() {
        let mut places = [90.0, 99.0, 100.0];
        move_apart(&mut places, 100.0);
        assert_eq!(places, [100.0 - 2.0 * LINE, 100.0 - LINE, 100.0]);
        let mut places = [10.0, 11.0, 80.0];
        move_apart(&mut places, 100.0);
        assert_eq!(places, [10.0, 10.0 + LINE, 80.0]);
    }

    #[test]
    fn figures_have_three_digits_that_matter() {
        for (value, text) in [
            (0.0, "0"),
            (0.285, "0.285"),
            (9.999, "10.0"),
            (99.96, "100"),
            (9_999.0, "10k"),
            (166_536.0, "167k"),
            (999_700.0, "1.00M"),
            (2_889_012.0, "2.89M"),
        ] {
            assert_eq!(figure(value), text);
        }
    }
}
