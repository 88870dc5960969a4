INSERT INTO prebake_names VALUES ('vision', false, 2);
INSERT INTO prebake_names VALUES ('speech', true, 0);
INSERT INTO prebake_versions (id, name, version, description, tags, definition, context, archived, created, asked_by) VALUES (1, 'vision', '1', 'the first', '{"team": "a"}', '{"image": "debian:12", "conda_file": {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["tabulate"]}]}, "os_type": "linux"}', '', true, 1700000000.25, 'ada');
INSERT INTO prebake_versions (id, name, version, description, tags, definition, context, archived, created, asked_by) VALUES (2, 'vision', '2', NULL, '{}', '{"image": "debian:12", "environment_variables": {"B": "1", "A": "2"}, "os_type": "linux"}', '', false, 1700000001.5, 'grace');
INSERT INTO prebake_versions (id, name, version, description, tags, definition, context, archived, created, asked_by) VALUES (3, 'speech', '22.02-py3', NULL, '{}', '{"image": "debian:12", "os_type": "linux"}', '', false, 1700000002.5, 'ada');
INSERT INTO prebake_labels VALUES ('vision', 'prod', 1);
INSERT INTO prebake_locks VALUES (1, '00000000000000000000000000000001', '{}');
INSERT INTO prebake_records (id, version_id, lock_key, base, image, reference, policy, asked_by, at, last) VALUES (1, 1, '00000000000000000000000000000001', 'debian@sha256:1', 'sha256:2', 'registry/vision@sha256:2', 'locked', 'ada', 1700000003.5, 1700000004.5);
