//! The cost of one datagram of junk, by kind.

use plotters::prelude::*;

use super::{Failed, GRID, Ground, INK, colour, decades, font, picture, tick};
use crate::figures::JunkCost;
use crate::junk::Load;

/// One bar for each kind, under the load with few losses.
pub(super) fn junk(all: &[JunkCost]) -> String {
    let load = Load::Bursts.name();
    let bars: Vec<&JunkCost> = all.iter().filter(|cost| cost.load == load).collect();
    let height = u32::try_from(bars.len()).unwrap_or(0) * 30 + 120;
    picture(height, |ground| draw(ground, &bars))
}

/// Microseconds at the left edge: lower costs are negligible.
const LEAST: f64 = 0.1;

fn draw(ground: &Ground<'_>, bars: &[&JunkCost]) -> Result<(), Failed> {
    let values = bars.iter().flat_map(|cost| [cost.processes, cost.all()]);
    let across = decades(values.map(|value| value.max(LEAST)));
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX);
    let name = |row: &SegmentValue<i32>| {
        let SegmentValue::CenterOf(row) = row else { return String::new() };
        let cost = usize::try_from(rows - 1 - row).ok().and_then(|row| bars.get(row));
        cost.map_or(String::new(), |cost| format!("{}: {}", cost.who, cost.kind))
    };
    let left = across.start;
    let mut chart = ChartBuilder::on(ground)
        .caption("CPU time for one datagram that opens nothing", font(25))
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(370)
        .build_cartesian_2d(across.log_scale(), (0..rows - 1).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(font(16))
        .x_label_formatter(&|value| tick(*value))
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .x_desc("microseconds (logarithmic): in bursts; processes dark, the kernel's part light")
        .draw()?;
    for (row, cost) in (0..rows).rev().zip(bars) {
        let bar = |value: f64, style: ShapeStyle| {
            let corners =
                [(left, SegmentValue::Exact(row)), (value.max(left), SegmentValue::Exact(row + 1))];
            let mut bar = Rectangle::new(corners, style);
            bar.set_margin(5, 5, 0, 0);
            bar
        };
        let colour = colour(cost.who);
        chart.draw_series([
            bar(cost.all(), colour.mix(0.35).filled()),
            bar(cost.processes, colour.filled()),
        ])?;
    }
    Ok(())
}
