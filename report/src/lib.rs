//! A run's verdict and measurements as JSON, Markdown, JUnit and HTML.
