"""The system in containers: `docker-compose.yml`, started, looked at and ended from here with secrets of its own."""
