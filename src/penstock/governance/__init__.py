"""What people change while engines run: rules, lists, features and models, each version kept, approved and audited."""
