//! Opening times, as the cumulative share of knocks.

use plotters::prelude::*;

use super::{Failed, GRID, Ground, INK, colour, decades, font, picture, tick};
use crate::series::{Series, real};

/// One curve for each.
pub(super) fn opening(all: &[(&'static str, Series)]) -> String {
    picture(460, |ground| draw(ground, all))
}

fn draw(ground: &Ground<'_>, all: &[(&'static str, Series)]) -> Result<(), Failed> {
    let values = all.iter().flat_map(|(_, series)| series.values()).copied();
    let mut chart = ChartBuilder::on(ground)
        .caption("From knock to TCP connection, idle", font(25))
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(decades(values).log_scale(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(font(16))
        .x_label_formatter(&|value| tick(*value))
        .x_desc("microseconds (logarithmic)")
        .y_desc("% of knocks open by then")
        .draw()?;
    for (who, series) in all {
        let style = colour(who).stroke_width(2);
        let share = |index: usize| real(index) * 100.0 / real(series.len().max(1));
        // A step function: between two knocks there is no measurement.
        let stairs = series.values().iter().enumerate();
        let stairs = stairs.flat_map(|(index, &x)| [(x, share(index)), (x, share(index + 1))]);
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style);
        chart.draw_series(LineSeries::new(stairs, style))?.label(*who).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(super::GROUND)
        .border_style(GRID)
        .label_font(font(17))
        .draw()
}
