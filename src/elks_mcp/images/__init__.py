"""Pictures from files: checked before decoding, turned, made small, without hidden facts."""
