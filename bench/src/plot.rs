//! Plots as SVG: their style, and the list of them. On a light background of their own, so that they are
//! readable on a dark page too.

mod bars;
mod curves;
mod lines;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{FWKNOP, Figures, KNOCKD, OURS, OURS_V6, TUNED};

/// A title, the file's name, and the picture.
pub(crate) type Plot = (&'static str, &'static str, String);

/// The plots with figures.
pub(crate) fn all(figures: &Figures) -> Vec<Plot> {
    let mut plots = Vec::new();
    if !figures.opening.is_empty() {
        plots.push(("From knock to open", "latency.svg", curves::opening(&figures.opening)));
    }
    if !figures.junk.is_empty() {
        plots.push(("What junk costs", "junk.svg", bars::junk(&figures.junk)));
    }
    if !figures.growth.is_empty() {
        plots.push(("With many grants open", "growth.svg", lines::growth(&figures.growth)));
    }
    plots
}

type Ground<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The error type of drawing.
type Failed = DrawingAreaErrorKind<std::io::Error>;

/// A picture of this height, in pixels, drawn by `draw`.
fn picture(height: u32, draw: impl FnOnce(&Ground<'_>) -> Result<(), Failed>) -> String {
    let mut svg = String::new();
    {
        let ground = SVGBackend::with_string(&mut svg, (900, height)).into_drawing_area();
        let drawn =
            ground.fill(&GROUND).and_then(|()| draw(&ground)).and_then(|()| ground.present());
        drawn.expect("a text has room for a picture");
    }
    svg
}

const GROUND: RGBColor = RGBColor(252, 252, 250);
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(222, 222, 218);

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Colours that also differ in lightness.
fn colour(who: &str) -> RGBColor {
    match who {
        OURS => RGBColor(0, 84, 147),
        OURS_V6 => RGBColor(86, 170, 222),
        FWKNOP => RGBColor(178, 34, 34),
        TUNED => RGBColor(230, 130, 30),
        KNOCKD => RGBColor(110, 80, 140),
        _ => RGBColor(90, 130, 110),
    }
}

/// From a power of ten to another, around all these values.
fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite() && *value > 0.0) {
        (least, most) = (least.min(value), most.max(value));
    }
    if least > most {
        return 1.0..10.0;
    }
    let below = 10_f64.powf(least.log10().floor());
    below..10_f64.powf(most.log10().ceil()).max(below * 10.0)
}

/// A number on an axis of powers of ten.
fn tick(value: f64) -> String {
    if value >= 1e6 {
        format!("{} M", value / 1e6)
    } else if value >= 1e3 {
        format!("{} k", value / 1e3)
    } else {
        format!("{value}")
    }
}
