"""The plumbing of the store: connections, transactions, tables, migrations."""
