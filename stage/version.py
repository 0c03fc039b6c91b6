"""The version of jgpt, shown in every manifest."""

VERSION = "0.1.0"
