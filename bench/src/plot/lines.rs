//! The cost of one more grant, by the number of grants.

use plotters::prelude::*;

use super::{Failed, GRID, Ground, INK, colour, decades, font, picture, tick};
use crate::figures::Growth;

/// One line for each.
pub(super) fn growth(all: &[(&'static str, Vec<Growth>)]) -> String {
    picture(460, |ground| draw(ground, all))
}

fn draw(ground: &Ground<'_>, all: &[(&'static str, Vec<Growth>)]) -> Result<(), Failed> {
    let looks = || all.iter().flat_map(|(_, looks)| looks);
    let (open, cpu) = (looks().map(|look| look.open), looks().map(|look| look.cpu));
    let mut chart = ChartBuilder::on(ground)
        .caption("One more grant when many are open", font(25))
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(decades(open).log_scale(), decades(cpu).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(font(16))
        .x_label_formatter(&|value| tick(*value))
        .y_label_formatter(&|value| tick(*value))
        .x_desc("grants open (logarithmic)")
        .y_desc("CPU microseconds for one knock (logarithmic)")
        .draw()?;
    for (who, looks) in all {
        let style = colour(who).stroke_width(2);
        let points = || looks.iter().map(|look| (look.open, look.cpu));
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style);
        chart.draw_series(LineSeries::new(points(), style))?.label(*who).legend(sample);
        chart.draw_series(points().map(|at| Circle::new(at, 3, colour(who).filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(super::GROUND)
        .border_style(GRID)
        .label_font(font(17))
        .draw()
}
