"""The rules of speaking to Kommo: pure, without any IO."""
