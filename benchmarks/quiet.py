"""sbi's trainings without what they would leave behind."""

__all__ = ["Silent"]


class Silent:
    """sbi's tracker, without its folder in the working directory."""

    log_dir = None

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: None
