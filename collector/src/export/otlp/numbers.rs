//! The metrics of `/metrics` as OTLP metrics, under the same names and labels.
//!
//! Pure. Gauges stay gauges; counters are cumulative sums since the collector's start.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Gauge, Metric, NumberDataPoint, Sum};
use prometheus::proto::{MetricFamily, MetricType};

use super::spans::text;

/// The metrics of a registry as of a time, in nanoseconds since 1970.
pub fn metrics(families: &[MetricFamily], started: u64, now: u64) -> Vec<Metric> {
    families.iter().filter_map(|family| metric(family, started, now)).collect()
}

fn metric(family: &MetricFamily, started: u64, now: u64) -> Option<Metric> {
    let points = |value: fn(&prometheus::proto::Metric) -> f64, start: u64| -> Vec<NumberDataPoint> {
        family
            .get_metric()
            .iter()
            .map(|sample| NumberDataPoint {
                attributes: sample.get_label().iter().map(|label| text(label.name(), label.value())).collect(),
                start_time_unix_nano: start,
                time_unix_nano: now,
                value: Some(Value::AsDouble(value(sample))),
                ..NumberDataPoint::default()
            })
            .collect()
    };
    let data = match family.get_field_type() {
        MetricType::GAUGE => Data::Gauge(Gauge { data_points: points(|sample| sample.get_gauge().get_value(), 0) }),
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: points(|sample| sample.get_counter().get_value(), started),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        _ => return None,
    };
    let unit = if family.name().ends_with("_seconds") { "s" } else { "" };
    Some(Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

#[cfg(test)]
mod tests {
    use prometheus::{GaugeVec, IntCounter, Opts, Registry};

    use super::*;

    #[test]
    fn gauges_and_counters_keep_name_labels_and_value() {
        let registry = Registry::new();
        let gauge = GaugeVec::new(Opts::new("x_seconds", "how long"), &["site"]).expect("gauge");
        gauge.with_label_values(&["CEN"]).set(2.5);
        let counter = IntCounter::new("y_total", "how often").expect("counter");
        counter.inc_by(7);
        registry.register(Box::new(gauge)).expect("registered");
        registry.register(Box::new(counter)).expect("registered");
        let all = metrics(&registry.gather(), 5, 9);
        let [x, y] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((x.name.as_str(), x.unit.as_str(), x.description.as_str()), ("x_seconds", "s", "how long"));
        let Some(Data::Gauge(gauge)) = &x.data else { panic!("{x:?}") };
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(2.5)));
        assert_eq!(gauge.data_points[0].attributes, [text("site", "CEN")]);
        let Some(Data::Sum(sum)) = &y.data else { panic!("{y:?}") };
        assert!(sum.is_monotonic && sum.data_points[0].start_time_unix_nano == 5 && sum.data_points[0].time_unix_nano == 9);
        assert_eq!(sum.data_points[0].value, Some(Value::AsDouble(7.0)));
    }
}
