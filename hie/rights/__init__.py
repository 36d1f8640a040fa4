"""The rights of persons about their data: requests, consent receipts, records of processing."""
