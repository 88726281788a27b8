"""Tables as spreadsheets write them: read as recipients, and written as results."""
