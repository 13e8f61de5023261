"""Plans by hand that benchmarks hold the platform to."""
