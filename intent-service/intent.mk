intent-model: setup ## Build the intent model from the phrases, unless it is fresh
	@$(BIN)/python -W ignore::UserWarning -m intent_service.training

eval-intent: setup intent-model ## Score the intent model on the project's own benchmark
	@$(BIN)/python -m intent_service.cli eval tests/eval/messages.jsonl
