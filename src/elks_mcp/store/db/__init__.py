"""Database access: connections, transactions, tables, migrations."""
