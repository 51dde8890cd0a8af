"""Small training runs, sick and healthy, by which a diagnosis is to be judged blindly, once."""
