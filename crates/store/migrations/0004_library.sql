-- Ingestion.

-- Retrieval.
