BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE annotators (
	campaign_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	secret TEXT NOT NULL,
	revoked_at DATETIME,
	visitor BOOLEAN NOT NULL,
	cursor INTEGER NOT NULL,
	given INTEGER NOT NULL,
	done INTEGER NOT NULL,
	skipped INTEGER NOT NULL,
	seconds DOUBLE NOT NULL,
	seen_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_annotators PRIMARY KEY (id),
	CONSTRAINT fk_annotators_campaign_id_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE,
	CONSTRAINT uq_annotators_campaign_id_name UNIQUE (campaign_id, name),
	CONSTRAINT uq_annotators_secret UNIQUE (secret)
);
INSERT INTO "annotators" VALUES(1,'ann','ghhqrOoFAd83SFDTpOZhH_Y8LeAJuVFx',NULL,0,29,6,6,0,60.0,'2026-11-30 17:37:35.847126',1,'2026-11-30 17:37:32.012638');
INSERT INTO "annotators" VALUES(1,'bob','UGgM5MeMLkgXhdRVjm1YbzjocYu3g4Mh',NULL,0,29,6,6,0,60.0,'2026-11-30 17:37:35.896255',2,'2026-11-30 17:37:35.852448');
INSERT INTO "annotators" VALUES(2,'visitor 1','e14eed52261862c9e43de11398d4ba56003fda7f8e87afae4772eaea131635f0',NULL,1,-1,1,1,0,0.1,'2026-11-30 17:38:37.809767',3,'2026-11-30 17:38:37.805821');
CREATE TABLE assignments (
	campaign_id INTEGER NOT NULL,
	item_id INTEGER NOT NULL,
	annotator_id INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	repeat BOOLEAN NOT NULL,
	shown JSON NOT NULL,
	status TEXT NOT NULL,
	held_until DATETIME,
	revision INTEGER NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_assignments PRIMARY KEY (id),
	CONSTRAINT ck_assignments_status CHECK (status IN ('held', 'done', 'skipped', 'expired', 'surplus')),
	CONSTRAINT fk_assignments_annotator_id_annotators FOREIGN KEY(annotator_id) REFERENCES annotators (id) ON DELETE CASCADE,
	CONSTRAINT fk_assignments_campaign_id_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE,
	CONSTRAINT fk_assignments_item_id_items FOREIGN KEY(item_id) REFERENCES items (id) ON DELETE CASCADE,
	CONSTRAINT uq_assignments_annotator_id_item_id_repeat UNIQUE (annotator_id, item_id, repeat),
	CONSTRAINT uq_assignments_key UNIQUE ("key")
);
INSERT INTO "assignments" VALUES(1,27,1,'6a6077c502c742618385baddde28cbe8',0,'[53, 54]','done',NULL,0,1,'2026-11-30 17:37:32.426832');
INSERT INTO "assignments" VALUES(1,22,1,'8eef8f3e12a64bb68cb5ebcd271747df',0,'[44, 43]','done',NULL,0,2,'2026-11-30 17:37:32.426832');
INSERT INTO "assignments" VALUES(1,28,1,'276c4eccd6904f7c84af4abd8e39fdcf',0,'[56, 55]','done',NULL,0,3,'2026-11-30 17:37:32.426832');
INSERT INTO "assignments" VALUES(1,17,1,'9cc75ce7f5fd4bebb4b8f9298136754a',0,'[33, 34]','done',NULL,0,4,'2026-11-30 17:37:32.426832');
INSERT INTO "assignments" VALUES(1,23,1,'5fa43018a0464e42b673b11fda82dd33',0,'[46, 45]','done',NULL,0,5,'2026-11-30 17:37:33.229217');
INSERT INTO "assignments" VALUES(1,13,1,'c0c7196787764ae3b8350d1e8bb229c9',0,'[26, 25]','done',NULL,0,6,'2026-11-30 17:37:33.229217');
INSERT INTO "assignments" VALUES(1,27,2,'b6d45b1eb56e4be9af4322a5cdd6f494',0,'[54, 53]','done',NULL,0,31,'2026-11-30 17:37:35.853561');
INSERT INTO "assignments" VALUES(1,22,2,'e536020007f643dabeb7d4d1b62acda8',0,'[43, 44]','done',NULL,0,32,'2026-11-30 17:37:35.853561');
INSERT INTO "assignments" VALUES(1,28,2,'f8bc98684beb44d3a8cc1c70e06a75ec',0,'[55, 56]','done',NULL,0,33,'2026-11-30 17:37:35.853561');
INSERT INTO "assignments" VALUES(1,17,2,'04f16c3dd1e74700a2c2c9b00025bd10',0,'[33, 34]','done',NULL,0,34,'2026-11-30 17:37:35.853561');
INSERT INTO "assignments" VALUES(1,23,2,'aa758dee45b2468397126c8597b6c897',0,'[45, 46]','done',NULL,0,35,'2026-11-30 17:37:35.859817');
INSERT INTO "assignments" VALUES(1,13,2,'0dda0412f59b4ec68cbd9691796dc054',0,'[25, 26]','done',NULL,0,36,'2026-11-30 17:37:35.859817');
INSERT INTO "assignments" VALUES(2,31,3,'d1ffaa2676969acc694663db2e5b8242',0,'[61, 62]','done',NULL,0,61,'2026-11-30 17:38:37.813030');
CREATE TABLE campaigns (
	name TEXT NOT NULL,
	"plan" JSON NOT NULL,
	status TEXT NOT NULL,
	made_by_run_id INTEGER NOT NULL,
	opened_at DATETIME,
	closed_at DATETIME,
	items INTEGER NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_campaigns PRIMARY KEY (id),
	CONSTRAINT ck_campaigns_status CHECK (status IN ('making', 'draft', 'open', 'paused', 'closed')),
	CONSTRAINT fk_campaigns_made_by_run_id_runs FOREIGN KEY(made_by_run_id) REFERENCES runs (id),
	CONSTRAINT uq_campaigns_name UNIQUE (name)
);
INSERT INTO "campaigns" VALUES('polite','{"name": "polite", "criterion": "helpful", "guidelines": "", "kind": "pairwise", "overlap": 2, "ties": true, "both_bad": true, "repeats": 0.0, "lease": 1800, "seed": 0}','open',28,'2026-11-30 17:37:31.728513',NULL,6,1,'2026-11-30 17:37:30.089074');
INSERT INTO "campaigns" VALUES('Demo: Ours','{"name": "Demo: Ours", "criterion": "helpful", "guidelines": "", "kind": "pairwise", "overlap": 1, "ties": true, "both_bad": true, "repeats": 0.0, "lease": 1800, "seed": 0}','open',32,'2026-11-30 17:38:37.589288',NULL,1,2,'2026-11-30 17:38:37.589077');
CREATE TABLE candidates (
	item_id INTEGER NOT NULL,
	place INTEGER NOT NULL,
	system TEXT NOT NULL,
	text TEXT NOT NULL,
	shown TEXT,
	generation_id INTEGER,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_candidates PRIMARY KEY (id),
	CONSTRAINT fk_candidates_generation_id_generations FOREIGN KEY(generation_id) REFERENCES generations (id),
	CONSTRAINT fk_candidates_item_id_items FOREIGN KEY(item_id) REFERENCES items (id) ON DELETE CASCADE
);
INSERT INTO "candidates" VALUES(13,0,'bad','sun no',NULL,NULL,25,'2026-11-30 17:37:30.240569');
INSERT INTO "candidates" VALUES(13,1,'good','sun please',NULL,NULL,26,'2026-11-30 17:37:30.240569');
INSERT INTO "candidates" VALUES(17,0,'good','tree please',NULL,NULL,33,'2026-11-30 17:37:30.240591');
INSERT INTO "candidates" VALUES(17,1,'bad','tree no',NULL,NULL,34,'2026-11-30 17:37:30.240592');
INSERT INTO "candidates" VALUES(22,0,'good','red please',NULL,NULL,43,'2026-11-30 17:37:30.240622');
INSERT INTO "candidates" VALUES(22,1,'bad','red no',NULL,NULL,44,'2026-11-30 17:37:30.240623');
INSERT INTO "candidates" VALUES(23,0,'bad','sun no',NULL,NULL,45,'2026-11-30 17:37:30.240628');
INSERT INTO "candidates" VALUES(23,1,'good','sun please',NULL,NULL,46,'2026-11-30 17:37:30.240629');
INSERT INTO "candidates" VALUES(27,0,'good','tree please',NULL,NULL,53,'2026-11-30 17:37:30.240656');
INSERT INTO "candidates" VALUES(27,1,'bad','tree no',NULL,NULL,54,'2026-11-30 17:37:30.240657');
INSERT INTO "candidates" VALUES(28,0,'bad','rain no',NULL,NULL,55,'2026-11-30 17:37:30.240662');
INSERT INTO "candidates" VALUES(28,1,'good','rain please',NULL,NULL,56,'2026-11-30 17:37:30.240662');
INSERT INTO "candidates" VALUES(31,0,'other',']���',NULL,296,61,'2026-11-30 17:38:37.809767');
INSERT INTO "candidates" VALUES(31,1,'tiny','��	�Vi',NULL,297,62,'2026-11-30 17:38:37.809767');
CREATE TABLE dataset_versions (
	dataset_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	content_hash TEXT NOT NULL,
	source_hash TEXT,
	path TEXT NOT NULL,
	rows INTEGER NOT NULL,
	bytes BIGINT NOT NULL,
	columns JSON NOT NULL,
	roles JSON NOT NULL,
	splits JSON NOT NULL,
	source JSON NOT NULL,
	profile JSON,
	made_by_run_id INTEGER,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_dataset_versions PRIMARY KEY (id),
	CONSTRAINT fk_dataset_versions_dataset_id_datasets FOREIGN KEY(dataset_id) REFERENCES datasets (id),
	CONSTRAINT fk_dataset_versions_made_by_run_id_runs FOREIGN KEY(made_by_run_id) REFERENCES runs (id),
	CONSTRAINT uq_dataset_versions_content_hash UNIQUE (content_hash),
	CONSTRAINT uq_dataset_versions_dataset_id_number UNIQUE (dataset_id, number)
);
INSERT INTO "dataset_versions" VALUES(1,1,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082.parquet',140,7750,'[{"name": "input", "kind": "text", "sparse": false}, {"name": "reference", "kind": "text", "sparse": false}, {"name": "sentiment", "kind": "text", "sparse": false}, {"name": "split", "kind": "text", "sparse": false}, {"name": "prompt", "kind": "text", "sparse": false}]','{"input": ["input"], "reference": ["reference"], "label": ["sentiment"]}','{"train": 80, "validation": 20, "test": 40}','{"kind": "starter", "task": "sentiment", "seed": 1, "rows": {"train": 80, "validation": 20, "test": 40}}',NULL,1,1,'2026-11-30 17:32:10.975139');
INSERT INTO "dataset_versions" VALUES(2,1,'874c2ccbc97a77f986ba4e688c194be2dbc55cce3ac74e340f667ffb1b01ae44','5ba410dbbd73d12f9a152c27c6538e966cb78e21b3a0f957d9c6a059c1e04f7f','874c2ccbc97a77f986ba4e688c194be2dbc55cce3ac74e340f667ffb1b01ae44.parquet',30,1079,'[{"name": "input", "kind": "text", "sparse": false}, {"name": "reference", "kind": "text", "sparse": false}]','{"input": ["input"], "reference": ["reference"]}','{"test": 30}','{"kind": "file", "name": "rows.csv", "sha256": "5ba410dbbd73d12f9a152c27c6538e966cb78e21b3a0f957d9c6a059c1e04f7f"}',NULL,2,2,'2026-11-30 17:32:11.510399');
INSERT INTO "dataset_versions" VALUES(3,1,'bbbc63a32bc68c7dce4c5d3eacca043739d0ee4cdcb04c6309a11f64fa417269','c2bbf067c4ea45562e3f4318fdcbd06cf3e341fdf0632a8df1cda80c696af326','bbbc63a32bc68c7dce4c5d3eacca043739d0ee4cdcb04c6309a11f64fa417269.parquet',3,1137,'[{"name": "prediction", "kind": "text", "sparse": false}, {"name": "reference", "kind": "text", "sparse": false}, {"name": "input", "kind": "text", "sparse": false}]','{"reference": ["reference"], "metadata": ["prediction"], "input": ["input"]}','{"test": 3}','{"kind": "file", "name": "preds.csv", "sha256": "c2bbf067c4ea45562e3f4318fdcbd06cf3e341fdf0632a8df1cda80c696af326", "options": {"encoding": "", "separator": "", "as_is": true}}',NULL,17,3,'2026-11-30 17:33:17.632743');
INSERT INTO "dataset_versions" VALUES(4,1,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62',NULL,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62.parquet',2600,290274,'[{"name": "input", "kind": "text", "sparse": false}, {"name": "reference", "kind": "text", "sparse": false}, {"name": "split", "kind": "text", "sparse": false}, {"name": "prompt", "kind": "text", "sparse": false}]','{"input": ["input"], "reference": ["reference"]}','{"train": 2000, "validation": 300, "test": 300}','{"kind": "starter", "task": "qa", "seed": 1, "rows": {"train": 2000, "validation": 300, "test": 300}}',NULL,20,4,'2026-11-30 17:34:41.016456');
INSERT INTO "dataset_versions" VALUES(5,1,'b01826050cf0ef234e1699d5251ca589b57c60d0c0c11877deaa7704ccd55584',NULL,'b01826050cf0ef234e1699d5251ca589b57c60d0c0c11877deaa7704ccd55584.parquet',30,3538,'[{"name": "prompt", "kind": "text", "sparse": false}, {"name": "chosen", "kind": "text", "sparse": false}, {"name": "rejected", "kind": "text", "sparse": false}, {"name": "weight", "kind": "json", "sparse": false}, {"name": "margin", "kind": "json", "sparse": false}, {"name": "item", "kind": "json", "sparse": false}, {"name": "annotator", "kind": "text", "sparse": false}, {"name": "criterion", "kind": "text", "sparse": false}, {"name": "chosen_system", "kind": "text", "sparse": false}, {"name": "rejected_system", "kind": "text", "sparse": false}, {"name": "ranking", "kind": "json", "sparse": false}]','{"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]}','{"train": 21, "validation": 3, "test": 6}','{"kind": "campaign", "campaign": 1, "name": "polite", "votes": "majority", "through": 60, "decided": {}}',NULL,29,5,'2026-11-30 17:37:36.070042');
CREATE TABLE datasets (
	name TEXT NOT NULL,
	notes TEXT NOT NULL,
	archived_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_datasets PRIMARY KEY (id),
	CONSTRAINT uq_datasets_name UNIQUE (name)
);
INSERT INTO "datasets" VALUES('reviews','',NULL,1,'2026-11-30 17:32:10.960022');
INSERT INTO "datasets" VALUES('rows','',NULL,2,'2026-11-30 17:32:11.509637');
INSERT INTO "datasets" VALUES('predictions preds','',NULL,3,'2026-11-30 17:33:17.631979');
INSERT INTO "datasets" VALUES('qa','',NULL,4,'2026-11-30 17:34:41.015089');
INSERT INTO "datasets" VALUES('polite-pairs','',NULL,5,'2026-11-30 17:37:36.069166');
CREATE TABLE demos (
	title TEXT NOT NULL,
	"plan" JSON NOT NULL,
	secret TEXT NOT NULL,
	campaign_id INTEGER NOT NULL,
	closed_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_demos PRIMARY KEY (id),
	CONSTRAINT fk_demos_campaign_id_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE,
	CONSTRAINT uq_demos_secret UNIQUE (secret)
);
INSERT INTO "demos" VALUES('Ours','{"title": "Ours", "models": ["tiny", "other"], "prompts": ["Once upon"], "intro": "An intro.", "sampling": {"max_new_tokens": 8, "greedy": true}, "longest": 100, "a_minute": 30, "an_hour": 600, "subtitle": "", "contact": "", "reveal": false, "board": false}','re79tjwEImLRNkbX7IrBlouu',2,NULL,1,'2026-11-30 17:38:37.600237');
CREATE TABLE experiments (
	name TEXT NOT NULL,
	question TEXT NOT NULL,
	notes TEXT NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_experiments PRIMARY KEY (id),
	CONSTRAINT uq_experiments_name UNIQUE (name)
);
CREATE TABLE generations (
	run_id INTEGER NOT NULL,
	sample_index INTEGER NOT NULL,
	rendered_prompt TEXT NOT NULL,
	text TEXT NOT NULL,
	finish_reason TEXT NOT NULL,
	prompt_tokens INTEGER NOT NULL,
	completion_tokens INTEGER NOT NULL,
	seconds DOUBLE NOT NULL,
	first_token_seconds DOUBLE,
	seed INTEGER NOT NULL,
	trace BLOB NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL, example INTEGER, detail JSON,
	CONSTRAINT pk_generations PRIMARY KEY (id),
	CONSTRAINT fk_generations_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
	CONSTRAINT uq_generations_run_id_sample_index UNIQUE (run_id, sample_index)
);
INSERT INTO "generations" VALUES(3,0,'Once there was',' angry and did not know what to do. Then she had','length',6,12,1.72740506000081950332e-01,4.94673889998011873103e-02,1,X'78013591CB6A025110447F25B89E48BFBBEB3FB21317821243402111247F9FBE33D7CDACEEE95353753830852EBBB7D3EDF3E76FB7BCD31E69808BBB25493A16DA9B3B8488454561CCB61C8EC7E520A8953CAF9CF6A5CA14CAF420136FB0A8D4CB2D32296093F3A2E6CE5F1B47E22D2A2F356DDA341A0434CB480C0A158A4DA8F0066FF7C72A2422D544C70A95182F6525814C885132526523E1DCE4F7EDFEDC5001AA8CDD1B0A8B5A411E375CAA44CBA6D231C0E7F5F4720A39997114B2201D68841D9DA5B856B8CF6E4A9A7BDC5F4903417DCB3853536962B0FE372BA2A29CA04634787E81C65D600457F7915EB6E97A07A710B11C75AD633096DDFE65133502C2733490FD2F6B48F412D510F725DDA8CC6CDBC7F5729B68683FA160388A7AD2296476D5B666EFB4914663C4DFEB6505439CC3AB7D5D67AB5BE89DD0DD4529122153A83584D7D3DC9EA06CD965F62708FD6A242D49428403DC6D0DDFF11FC916956D',1,'2026-11-30 17:32:17.770217',NULL,'null');
INSERT INTO "generations" VALUES(4,0,'Tell a story.',' But she could not find her jacket, and she','length',7,10,2.36517827000170655082e-01,5.24535449999348202254e-02,5,X'78DA8B8E0500011500B9',2,'2026-11-30 17:32:18.073465',NULL,'null');
INSERT INTO "generations" VALUES(4,1,'Tell a story.',' It was a waste of money. -> flop','length',7,10,2.29797835999761446146e-01,4.57695380000586737878e-02,6,X'78DA8B8E0500011500B9',3,'2026-11-30 17:32:18.073471',NULL,'null');
INSERT INTO "generations" VALUES(4,2,'Tell a story.',' On the way he fell and hurt his foot.','length',7,10,2.29751728000337607227e-01,4.57190530000843864399e-02,7,X'78DA8B8E0500011500B9',4,'2026-11-30 17:32:18.073472',NULL,'null');
INSERT INTO "generations" VALUES(4,3,'Tell a story.',' She worked at the theatre for a week, but','length',7,10,2.29743796000093425391e-01,4.57076960001359111629e-02,8,X'78DA8B8E0500011500B9',5,'2026-11-30 17:32:18.073473',NULL,'null');
INSERT INTO "generations" VALUES(5,0,'Once','�V"�F�,','length',4,8,2.44094079000205965712e-01,2.38550371000201266724e-01,842746579,X'78DA8B8E0500011500B9',6,'2026-11-30 17:32:22.286907',NULL,'null');
INSERT INTO "generations" VALUES(6,0,'<user> Hello
<assistant> ','dm7��Q-','length',25,8,6.59741939998639281839e-02,3.54682279998996818903e-02,2,X'78014D903B6EC3400C44EFA27A6D0C39FC1E23B5EC2E709732F70F2DC940DAE53EBE19EE7BD4DABEB775F3BB83D5864039C4B870074C24D86EA5C54AF3B53F9F6BCF5CDBCFC964B7A93001ED19BF19A6D15B280EB76ED809A9606D8F5F40FC44358904E9AC923AD1EE0C55E878932E17C9B5E5C1B07582B4842527EC1931A94131CD4A655C36F178DB5EAFD755CE00CC4F42233C2FDB285A11256232A58E72527391FF64CB0482C32C6DD61F15A37A2A474E69B98CD66BFB3A525A838A14A5665F2E9BB5EE937D16B5E3E39A66B78389500E9159E8CFF1C93986B759DBBC5ABDF33DFF0059BF5DC7',7,'2026-11-30 17:32:22.499769',NULL,'null');
INSERT INTO "generations" VALUES(7,0,'Once there was',' angry and did not know what to do. Then she had','length',6,12,2.0162973100013914518e-01,6.93894109999746433459e-02,1,X'78DA8B8E0500011500B9',8,'2026-11-30 17:32:22.776735',NULL,'null');
INSERT INTO "generations" VALUES(8,0,'Once','5\�8�','length',4,6,6.35151530000257480423e-02,1.05416070000501349568e-02,3,X'78DA8B8E0500011500B9',9,'2026-11-30 17:32:27.449024',NULL,'null');
INSERT INTO "generations" VALUES(9,0,'Once','5^�8�','length',4,6,9.22399490000316291116e-02,4.22920319997501792386e-02,3,X'78DA8B8E0500011500B9',10,'2026-11-30 17:32:27.468026',NULL,'null');
INSERT INTO "generations" VALUES(10,0,'Once','5\�8��','cancelled',4,7,6.70762919999106088653e-02,2.34351499998410872649e-02,3,X'78DA8B8E0500011500B9',11,'2026-11-30 17:32:27.598197',NULL,'null');
INSERT INTO "generations" VALUES(12,7,'Answer with negative or positive.
Review: In my opinion, it is such a superb map. Everyone smiled.
Label:',' positive','stop string',28,2,2.92644552999718143837e-01,NULL,0,X'78DA8B8E0500011500B9',12,'2026-11-30 17:33:03.330235',136,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,0,'Answer with negative or positive.
Review: Last week my sister tried the lamp. It seemed rather handy.
Label:',' positive','stop string',26,2,2.70795034000002488028e-01,NULL,0,X'78DA8B8E0500011500B9',13,'2026-11-30 17:33:03.330241',107,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,4,'Answer with negative or positive.
Review: Last week the children tried the mug. It seemed rather delightful.
Label:',' positive','stop string',26,2,2.70759350999924208736e-01,NULL,0,X'78DA8B8E0500011500B9',14,'2026-11-30 17:33:03.330242',120,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,5,'Answer with negative or positive.
Review: Last week the children tried the library. It seemed rather fine.
Label:',' positive','stop string',26,2,2.70735184999921330017e-01,NULL,0,X'78DA8B8E0500011500B9',15,'2026-11-30 17:33:03.330242',122,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,1,'Answer with negative or positive.
Review: Honestly, everything about the new play was boring.
Label:',' negative','stop string',25,2,2.70524343000033695716e-01,NULL,0,X'78DA8B8E0500011500B9',16,'2026-11-30 17:33:03.330243',109,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,3,'Answer with negative or positive.
Review: Disgusting and miserable: what a disgusting lamp!
Label:',' negative','stop string',24,2,2.70471674999953393125e-01,NULL,0,X'78DA8B8E0500011500B9',17,'2026-11-30 17:33:03.330243',118,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,2,'Answer with negative or positive.
Review: Honestly, everything about the new library was fine.
Label:',' positive','stop string',23,2,2.34148640000057639554e-01,NULL,0,X'78DA8B8E0500011500B9',18,'2026-11-30 17:33:03.330244',114,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(12,6,'Answer with negative or positive.
Review: Faulty and disappointing: what a faulty phone!
Label:',' negative','stop string',23,2,2.33987292000165325589e-01,NULL,0,X'78DA8B8E0500011500B9',19,'2026-11-30 17:33:03.330245',128,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,7,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: In my opinion, it is such a superb map. Everyone smiled.
Label:',' positive','stop string',42,2,1.6132044699998004944e-01,NULL,0,X'78DA8B8E0500011500B9',20,'2026-11-30 17:33:04.431249',136,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,0,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week my sister tried the lamp. It seemed rather handy.
Label:',' positive','stop string',40,2,1.61141602000043349107e-01,NULL,0,X'78DA8B8E0500011500B9',21,'2026-11-30 17:33:04.431255',107,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,4,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week the children tried the mug. It seemed rather delightful.
Label:',' positive','stop string',40,2,1.61122212999998737359e-01,NULL,0,X'78DA8B8E0500011500B9',22,'2026-11-30 17:33:04.431256',120,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,5,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week the children tried the library. It seemed rather fine.
Label:',' positive','stop string',40,2,1.61109183000007760711e-01,NULL,0,X'78DA8B8E0500011500B9',23,'2026-11-30 17:33:04.431256',122,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,1,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Honestly, everything about the new play was boring.
Label:',' negative','stop string',39,2,1.61053330999948229873e-01,NULL,0,X'78DA8B8E0500011500B9',24,'2026-11-30 17:33:04.431257',109,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,3,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Disgusting and miserable: what a disgusting lamp!
Label:',' negative','stop string',38,2,1.61019641000166302546e-01,NULL,0,X'78DA8B8E0500011500B9',25,'2026-11-30 17:33:04.431257',118,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,2,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Honestly, everything about the new library was fine.
Label:',' positive','stop string',37,2,1.60935797000092861708e-01,NULL,0,X'78DA8B8E0500011500B9',26,'2026-11-30 17:33:04.431258',114,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(13,6,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Faulty and disappointing: what a faulty phone!
Label:',' negative','stop string',37,2,1.60943978999966930132e-01,NULL,0,X'78DA8B8E0500011500B9',27,'2026-11-30 17:33:04.431258',128,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,4,'Answer with negative or positive.
Review: Last week the children tried the mug. It seemed rather delightful.
Label:','���','length',141,4,1.63574328000322566367e-01,NULL,0,X'78DA8B8E0500011500B9',28,'2026-11-30 17:33:08.557789',120,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,5,'Answer with negative or positive.
Review: Last week the children tried the library. It seemed rather fine.
Label:','���','length',139,4,1.41069467999841435812e-01,NULL,0,X'78DA8B8E0500011500B9',29,'2026-11-30 17:33:08.557791',122,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,0,'Answer with negative or positive.
Review: Last week my sister tried the lamp. It seemed rather handy.
Label:','��','length',135,4,1.40895899999577522976e-01,NULL,0,X'78DA8B8E0500011500B9',30,'2026-11-30 17:33:08.557792',107,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,7,'Answer with negative or positive.
Review: In my opinion, it is such a superb map. Everyone smiled.
Label:','��','length',133,4,1.40843251999740459723e-01,NULL,0,X'78DA8B8E0500011500B9',31,'2026-11-30 17:33:08.557792',136,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,2,'Answer with negative or positive.
Review: Honestly, everything about the new library was fine.
Label:','��','length',128,4,1.40799046000211092177e-01,NULL,0,X'78DA8B8E0500011500B9',32,'2026-11-30 17:33:08.557793',114,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,1,'Answer with negative or positive.
Review: Honestly, everything about the new play was boring.
Label:','��','length',127,4,1.40754731000015453901e-01,NULL,0,X'78DA8B8E0500011500B9',33,'2026-11-30 17:33:08.557793',109,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,3,'Answer with negative or positive.
Review: Disgusting and miserable: what a disgusting lamp!
Label:','��','length',125,4,1.40712508999968122225e-01,NULL,0,X'78DA8B8E0500011500B9',34,'2026-11-30 17:33:08.557794',118,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(14,6,'Answer with negative or positive.
Review: Faulty and disappointing: what a faulty phone!
Label:','��','length',122,4,0.140659259000131,NULL,0,X'78DA8B8E0500011500B9',35,'2026-11-30 17:33:08.557794',128,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,4,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week the children tried the mug. It seemed rather delightful.
Label:','���','length',223,4,1.64609772999938286375e-01,NULL,0,X'78DA8B8E0500011500B9',36,'2026-11-30 17:33:09.211542',120,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,5,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week the children tried the library. It seemed rather fine.
Label:','���','length',221,4,1.59928814000068086897e-01,NULL,0,X'78DA8B8E0500011500B9',37,'2026-11-30 17:33:09.211546',122,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,0,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Last week my sister tried the lamp. It seemed rather handy.
Label:','��','length',217,4,1.59879441000157385133e-01,NULL,0,X'78DA8B8E0500011500B9',38,'2026-11-30 17:33:09.211547',107,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,7,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: In my opinion, it is such a superb map. Everyone smiled.
Label:','��','length',215,4,1.59835294999993493547e-01,NULL,0,X'78DA8B8E0500011500B9',39,'2026-11-30 17:33:09.211547',136,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,2,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Honestly, everything about the new library was fine.
Label:','���','length',210,4,1.59792510999977821484e-01,NULL,0,X'78DA8B8E0500011500B9',40,'2026-11-30 17:33:09.211548',114,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,1,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Honestly, everything about the new play was boring.
Label:','���','length',209,4,1.59754726000301161548e-01,NULL,0,X'78DA8B8E0500011500B9',41,'2026-11-30 17:33:09.211548',109,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,3,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Disgusting and miserable: what a disgusting lamp!
Label:','��','length',207,4,1.59715968000000430038e-01,NULL,0,X'78DA8B8E0500011500B9',42,'2026-11-30 17:33:09.211549',118,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(15,6,'Answer with negative or positive.
Review: Our guests found the helmet unpleasant.
Label: negative
Review: Faulty and disappointing: what a faulty phone!
Label:','��','length',204,4,1.59670110000206477707e-01,NULL,0,X'78DA8B8E0500011500B9',43,'2026-11-30 17:33:09.211549',128,'{"shots": [50], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(18,0,'q1','a b','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',44,'2026-11-30 17:33:18.295813',0,'{"uploaded": true}');
INSERT INTO "generations" VALUES(18,1,'q2','d e f','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',45,'2026-11-30 17:33:18.295815',1,'{"uploaded": true}');
INSERT INTO "generations" VALUES(18,2,'q3','g i','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',46,'2026-11-30 17:33:18.295816',2,'{"uploaded": true}');
INSERT INTO "generations" VALUES(19,0,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',47,'2026-11-30 17:34:15.331749',0,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,1,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','zomo
Review: I had expected something else, but it was a shabby chair.
Label: zomo
Review: I had expected something else, but it was a shabby chair.
Label: z','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',48,'2026-11-30 17:34:15.331753',1,'{"step": 0, "reference": "negative"}');
INSERT INTO "generations" VALUES(19,2,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',49,'2026-11-30 17:34:15.331753',2,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,3,'Answer with .
Review: It made my day. The lamp is wonderful and handy.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',50,'2026-11-30 17:34:15.331754',3,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,4,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',51,'2026-11-30 17:34:15.331754',4,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,15,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','natas
Review: I had expected something else, but it was a beautiful chair.
Label: natas
Review: I had expected something else, but it was a beautiful chair.
Label: natas','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',52,'2026-11-30 17:34:26.350804',0,'{"step": 3, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,16,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','zomo
Review: I had expected something else, but it was a shabby chair.
Label: zomo
Review: I had expected something else, but it was a shabby chair.
Label: z','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',53,'2026-11-30 17:34:26.350810',1,'{"step": 3, "reference": "negative"}');
INSERT INTO "generations" VALUES(19,17,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','natas
Review: I had heard that the jacket is poor, and it is true.
Label: zomas
Review: I had expected something else, but it was a beautiful chair.
Label: nat','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',54,'2026-11-30 17:34:26.350810',2,'{"step": 3, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,18,'Answer with .
Review: It made my day. The lamp is wonderful and handy.
Label:','nero
Review: I had expected something else, but it was a beautiful chair.
Label: nero
Review: I had expected something else, but it was a beautiful chair.
Label: nero','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',55,'2026-11-30 17:34:26.350811',3,'{"step": 3, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,19,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had expected something else, but it was a beautiful chair.
Label: ner','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',56,'2026-11-30 17:34:26.350812',4,'{"step": 3, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,30,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','positive
Review: I had heard that the jacket is poor, and it is true.
Label: negative
Review: I had expected something else, but it was a beautiful chair.
Label: positive
Review: I had expected','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',57,'2026-11-30 17:34:35.224974',0,'{"step": 6, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,31,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','negative
Review: I had expected something else, but it was a beautiful chair.
Label: positive
Review: I had expected something else, but it was a shabby chair.
Label: negative
Review: I had expected something','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',58,'2026-11-30 17:34:35.224979',1,'{"step": 6, "reference": "negative"}');
INSERT INTO "generations" VALUES(19,32,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','positive
Review: I had expected something else, but it was a beautiful chair.
Label: positive
Review: I had expected something else, but it was a beautiful chair.
Label: positive
Review: I had expected something','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',59,'2026-11-30 17:34:35.224980',2,'{"step": 6, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,33,'Answer with .
Review: It made my day. The lamp is wonderful and handy.
Label:','positive
Review: I had heard that the jacket is poor, and it is true.
Label: negative
Review: I had expected something else, but it was a shabby chair.
Label: negative
Review: I had expected','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',60,'2026-11-30 17:34:35.224980',3,'{"step": 6, "reference": "positive"}');
INSERT INTO "generations" VALUES(19,34,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','positive
Review: I had heard that the jacket is poor, and it is true.
Label: negative
Review: I had expected something else, but it was a beautiful chair.
Label: positive
Review: I had expected','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',61,'2026-11-30 17:34:35.224981',4,'{"step": 6, "reference": "positive"}');
INSERT INTO "generations" VALUES(22,0,'Answer the question about the passage.

Finn and his family live in the red house near the church. He chose a chess set, because he liked the colour so much. He always puts his helmet on the kitchen table.
Question: Where can you find Finn at home?
Answer:','I am new here, I am free on Thursday.','end of text',69,12,2.10600577500008512288e+00,NULL,0,X'78DA8B8E0500011500B9',145,'2026-11-30 17:35:17.140885',2300,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(23,0,'Answer the question about the passage.

Finn and his family live in the red house near the church. He chose a chess set, because he liked the colour so much. He always puts his helmet on the kitchen table.
Question: Where can you find Finn at home?
Answer:','I am new here, I am free on Thursday.','end of text',69,12,2.82475950500020189792e+00,NULL,0,X'78DA8B8E0500011500B9',245,'2026-11-30 17:35:37.486888',2300,'{"shots": [], "cached": false, "error": null}');
INSERT INTO "generations" VALUES(26,0,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',262,'2026-11-30 17:36:46.025007',0,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(26,1,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','zomo
Review: I had expected something else, but it was a shabby chair.
Label: zomo
Review: I had expected something else, but it was a shabby chair.
Label: z','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',263,'2026-11-30 17:36:46.025012',1,'{"step": 0, "reference": "negative"}');
INSERT INTO "generations" VALUES(26,2,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',264,'2026-11-30 17:36:46.025013',2,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(26,3,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',265,'2026-11-30 17:36:46.025013',3,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(26,10,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','natas
Review: I had expected something else, but it was a beautiful chair.
Label: natas
Review: I had expected something else, but it was a beautiful chair.
Label: natas','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',266,'2026-11-30 17:36:51.361537',0,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(26,11,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','zomo
Review: I had expected something else, but it was a shabby chair.
Label: zomo
Review: I had expected something else, but it was a shabby chair.
Label: z','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',267,'2026-11-30 17:36:51.361542',1,'{"step": 2, "reference": "negative"}');
INSERT INTO "generations" VALUES(26,12,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had expected something else, but it was a beautiful chair.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',268,'2026-11-30 17:36:51.361543',2,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(26,13,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had expected something else, but it was a beautiful chair.
Label: ner','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',269,'2026-11-30 17:36:51.361543',3,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,0,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',270,'2026-11-30 17:37:27.461962',0,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,1,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','zomo
Review: I had expected something else, but it was a shabby chair.
Label: zomo
Review: I had expected something else, but it was a shabby chair.
Label: z','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',271,'2026-11-30 17:37:27.524671',1,'{"step": 0, "reference": "negative"}');
INSERT INTO "generations" VALUES(27,2,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','zomor
Review: I had heard that the jacket is poor, and it is true.
Label: zomor
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',272,'2026-11-30 17:37:27.524681',2,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,3,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','nero
Review: I had heard that the jacket is poor, and it is true.
Label: zomo
Review: I had heard that the jacket is poor, and it is true.
Label:','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',273,'2026-11-30 17:37:27.524682',3,'{"step": 0, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,10,'Answer with .
Review: This shop was just brilliant, and cosy too.
Label:','Answer with .
Review: This shop was just brilliant, and cosy too.
Label: positive','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',274,'2026-11-30 17:37:29.429479',0,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,11,'Answer with .
Review: This room was just dirty, and ugly too.
Label:','Answer with .
Review: This room was just dirty, and ugly too.
Label: negative','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',275,'2026-11-30 17:37:29.429485',1,'{"step": 2, "reference": "negative"}');
INSERT INTO "generations" VALUES(27,12,'Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label:','Answer with .
Review: I had heard about the new tent. Honestly, it is fantastic.
Label: positive','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',276,'2026-11-30 17:37:29.429486',2,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(27,13,'Answer with .
Review: This burger was just tasty, and fine too.
Label:','Answer with .
Review: This burger was just tasty, and fine too.
Label: positive','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',277,'2026-11-30 17:37:29.429487',3,'{"step": 2, "reference": "positive"}');
INSERT INTO "generations" VALUES(30,0,'Say rain 7rain','+0.13 against +0.13 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',278,'2026-11-30 17:37:55.061416',0,'{"step": 0, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,1,'Say moon 13moon','+0.14 against +0.13 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',279,'2026-11-30 17:37:55.061421',1,'{"step": 0, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,2,'Say tea 20tea','+0.14 against +0.13 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',280,'2026-11-30 17:37:55.061422',2,'{"step": 0, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,25,'Say rain 7rain','-0.68 against -0.68 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',281,'2026-11-30 17:37:55.623819',0,'{"step": 5, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,26,'Say moon 13moon','-0.68 against -0.68 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',282,'2026-11-30 17:37:55.623825',1,'{"step": 5, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,27,'Say tea 20tea','-0.68 against -0.68 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',283,'2026-11-30 17:37:55.623826',2,'{"step": 5, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,50,'Say rain 7rain','-0.08 against -0.16 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',284,'2026-11-30 17:37:56.235214',0,'{"step": 10, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,51,'Say moon 13moon','-0.11 against -0.20 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',285,'2026-11-30 17:37:56.235218',1,'{"step": 10, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(30,52,'Say tea 20tea','-0.09 against -0.18 (right)','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',286,'2026-11-30 17:37:56.235219',2,'{"step": 10, "reference": "please \u227b no"}');
INSERT INTO "generations" VALUES(31,0,'<user> Say rain 7
<assistant>','��� ��� ��� ����''7�(��~��''7�(��~��''7�(��~','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',287,'2026-11-30 17:38:16.457045',0,'{"step": 0, "reference": "rain please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,1,'<user> Say moon 13
<assistant>','��	�ViM�.��� ��� ��� ��� ��� ��� ��� �','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',288,'2026-11-30 17:38:16.457052',1,'{"step": 0, "reference": "moon please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,2,'<user> Say tea 20
<assistant>','��� ��� ��� ��� ��� ��� ����(��������(�','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',289,'2026-11-30 17:38:16.457053',2,'{"step": 0, "reference": "tea please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,25,'<user> Say rain 7
<assistant>','<user> Say rain 7
<assistant> ple
e
e
e','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',290,'2026-11-30 17:38:16.826354',0,'{"step": 5, "reference": "rain please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,26,'<user> Say moon 13
<assistant>','<user> Say moon 13
<assistant> please
e
e','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',291,'2026-11-30 17:38:16.826360',1,'{"step": 5, "reference": "moon please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,27,'<user> Say tea 20
<assistant>','<user> Say tea 20
<assistant> ple','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',292,'2026-11-30 17:38:16.826361',2,'{"step": 5, "reference": "tea please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,50,'<user> Say rain 7
<assistant>','<user> Say rain 7
<assistant> ple
ple
e
e','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',293,'2026-11-30 17:38:17.511429',0,'{"step": 10, "reference": "rain please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,51,'<user> Say moon 13
<assistant>','<user> Say moon 13
<assistant> ple
ple
ple
e','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',294,'2026-11-30 17:38:17.511435',1,'{"step": 10, "reference": "moon please\n<assistant>"}');
INSERT INTO "generations" VALUES(31,52,'<user> Say tea 20
<assistant>','<user> Say tea 20
<assistant> ple
e','end of text',0,0,0.0,NULL,0,X'78DA8B8E0500011500B9',295,'2026-11-30 17:38:17.511436',2,'{"step": 10, "reference": "tea please\n<assistant>"}');
INSERT INTO "generations" VALUES(33,0,'Once upon',']���','length',9,8,1.40287650001482688821e-02,2.51199300009830039925e-03,1908880193,X'78DA8B8E0500011500B9',296,'2026-11-30 17:38:37.807984',NULL,'null');
INSERT INTO "generations" VALUES(34,0,'<user> Once upon
<assistant> ','��	�Vi','length',29,8,1.19479619997946429066e-02,5.22694800019962713122e-03,275283484,X'78DA8B8E0500011500B9',297,'2026-11-30 17:38:37.809478',NULL,'null');
CREATE TABLE items (
	campaign_id INTEGER NOT NULL,
	place INTEGER NOT NULL,
	prompt TEXT NOT NULL,
	room INTEGER NOT NULL,
	gold JSON,
	verdict JSON,
	decided BOOLEAN NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_items PRIMARY KEY (id),
	CONSTRAINT fk_items_campaign_id_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE
);
INSERT INTO "items" VALUES(1,5,'Say sun 12',0,NULL,NULL,0,13,'2026-11-30 17:37:30.319294');
INSERT INTO "items" VALUES(1,3,'Say tree 16',0,NULL,NULL,0,17,'2026-11-30 17:37:30.319297');
INSERT INTO "items" VALUES(1,1,'Say red 21',0,NULL,NULL,0,22,'2026-11-30 17:37:30.319299');
INSERT INTO "items" VALUES(1,4,'Say sun 22',0,NULL,NULL,0,23,'2026-11-30 17:37:30.319299');
INSERT INTO "items" VALUES(1,0,'Say tree 26',0,NULL,NULL,0,27,'2026-11-30 17:37:30.319302');
INSERT INTO "items" VALUES(1,2,'Say rain 27',0,NULL,NULL,0,28,'2026-11-30 17:37:30.319302');
INSERT INTO "items" VALUES(2,0,'Once upon',0,NULL,NULL,0,31,'2026-11-30 17:38:37.810608');
CREATE TABLE job_metrics (
	job_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	step INTEGER NOT NULL,
	value DOUBLE NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_job_metrics PRIMARY KEY (id),
	CONSTRAINT fk_job_metrics_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE,
	CONSTRAINT uq_job_metrics_job_id_name_step UNIQUE (job_id, name, step)
);
INSERT INTO "job_metrics" VALUES(3,'tokens per second',2,1.66015010425928778662e+02,12,'2026-11-30 17:34:17.589008');
INSERT INTO "job_metrics" VALUES(3,'gradient norm',4,5.75986528396606445312e+00,24,'2026-11-30 17:34:27.424711');
INSERT INTO "job_metrics" VALUES(3,'memory',6,602259456.0,36,'2026-11-30 17:34:28.992609');
INSERT INTO "job_metrics" VALUES(6,'training loss',2,3.67477083206176757812e+00,48,'2026-11-30 17:36:46.982307');
INSERT INTO "job_metrics" VALUES(7,'learning rate',1,0.01,60,'2026-11-30 17:37:27.972011');
INSERT INTO "job_metrics" VALUES(8,'validation loss',0,6.89554850260416629659e-01,72,'2026-11-30 17:37:55.068760');
INSERT INTO "job_metrics" VALUES(8,'tokens per second',1,8.27310961964391481174e+02,84,'2026-11-30 17:37:55.337418');
INSERT INTO "job_metrics" VALUES(8,'training accuracy',3,0.25,96,'2026-11-30 17:37:55.625438');
INSERT INTO "job_metrics" VALUES(8,'training rejected reward',4,-7.92468488216400146484e-01,108,'2026-11-30 17:37:55.648405');
INSERT INTO "job_metrics" VALUES(8,'tokens per second',5,1.12051370822763306028e+03,120,'2026-11-30 17:37:55.667649');
INSERT INTO "job_metrics" VALUES(8,'learning rate',6,0.0015,132,'2026-11-30 17:37:55.945874');
INSERT INTO "job_metrics" VALUES(8,'memory',7,602050560.0,144,'2026-11-30 17:37:55.964711');
INSERT INTO "job_metrics" VALUES(8,'training reward margin',9,1.77056089043617248535e-01,156,'2026-11-30 17:37:56.236903');
INSERT INTO "job_metrics" VALUES(8,'learning rate',10,7.34152255572697079975e-05,168,'2026-11-30 17:37:56.245415');
INSERT INTO "job_metrics" VALUES(9,'validation chosen reward',0,0.0,180,'2026-11-30 17:38:16.459793');
INSERT INTO "job_metrics" VALUES(9,'training accuracy',2,1.0,192,'2026-11-30 17:38:16.507195');
INSERT INTO "job_metrics" VALUES(9,'training rejected reward',3,-1.22746087610721588134e-01,204,'2026-11-30 17:38:16.542418');
INSERT INTO "job_metrics" VALUES(9,'tokens per second',4,4.62532204072427612128e+03,216,'2026-11-30 17:38:16.849534');
INSERT INTO "job_metrics" VALUES(9,'validation accuracy',5,1.0,228,'2026-11-30 17:38:16.873925');
INSERT INTO "job_metrics" VALUES(9,'memory',6,577490944.0,240,'2026-11-30 17:38:17.155789');
INSERT INTO "job_metrics" VALUES(9,'training reward margin',8,1.21549105644226074218e+00,252,'2026-11-30 17:38:17.179167');
INSERT INTO "job_metrics" VALUES(9,'learning rate',9,0.000286474508437579,264,'2026-11-30 17:38:17.185881');
INSERT INTO "job_metrics" VALUES(9,'memory',10,577490944.0,276,'2026-11-30 17:38:17.209662');
CREATE TABLE jobs (
	kind TEXT NOT NULL,
	title TEXT NOT NULL,
	settings JSON NOT NULL,
	resource TEXT NOT NULL,
	priority INTEGER NOT NULL,
	status TEXT NOT NULL,
	exit_reason TEXT,
	run_id INTEGER,
	parent_id INTEGER,
	depends_on_id INTEGER,
	attempt INTEGER NOT NULL,
	cancel_requested BOOLEAN NOT NULL,
	pid INTEGER,
	process_started BIGINT,
	heartbeat_at DATETIME,
	started_at DATETIME,
	ended_at DATETIME,
	done DOUBLE NOT NULL,
	total DOUBLE,
	seconds_left DOUBLE,
	message TEXT NOT NULL,
	error TEXT,
	peak_memory BIGINT,
	result JSON,
	ingested BIGINT NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL, "after" JSON, failed_attempts JSON,
	CONSTRAINT pk_jobs PRIMARY KEY (id),
	CONSTRAINT ck_jobs_status CHECK (status IN ('queued', 'running', 'finished', 'cancelled', 'failed')),
	CONSTRAINT fk_jobs_depends_on_id_jobs FOREIGN KEY(depends_on_id) REFERENCES jobs (id),
	CONSTRAINT fk_jobs_parent_id_jobs FOREIGN KEY(parent_id) REFERENCES jobs (id),
	CONSTRAINT fk_jobs_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "jobs" VALUES('matrix','Matrix: reviews@1: 4 cells','{"run": 11, "cells": [12, 13, 14, 15], "plan": {"dataset": "reviews", "models": ["starter-causal", "tiny"], "templates": ["classify-review"], "shots": [0, 1], "selectors": ["random"], "samplings": [{"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": null}], "seeds": [0], "rows": 8, "sample_seed": 0, "split": "test", "shot_split": "train", "fixed": [], "rendering": "by model", "use_cache": true, "metrics": [{"metric": "exact_match", "settings": {}}]}}','cpu',0,'finished','finished',11,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:33:07.778388','2026-11-30 17:32:28.169261','2026-11-30 17:33:09.734568',4.0,4.0,NULL,'',NULL,626298880,'{"matrix": 11, "failed": 0, "requests": 32, "cached": 0, "errors": 0}',25484,1,'2026-11-30 17:32:27.974972','null',NULL);
INSERT INTO "jobs" VALUES('evaluate','Evaluate 4 systems: exact_match, token_f1','{"systems": [12, 13, 14, 15], "metrics": [{"metric": "exact_match", "settings": {}}, {"metric": "token_f1", "settings": {}}], "seed": 0, "run": 16}','cpu',0,'finished','finished',16,NULL,1,1,0,NULL,NULL,'2026-11-30 17:33:16.407234','2026-11-30 17:33:10.492293','2026-11-30 17:33:16.882247',8.0,8.0,NULL,'',NULL,627216384,'{"evaluation": 16}',3900,2,'2026-11-30 17:33:10.189469','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune starter-causal (LoRA): tuned','{"run": 19, "plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 6, "epochs": 0.0, "batch": 4, "learning_rate": 0.001, "length": 96, "target_length": 128, "seed": 0, "accumulation": 2, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 0.5, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 3, "patience": 5, "validation_rows": 6, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "tuned"}','cpu',0,'finished','finished',19,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:34:35.772367','2026-11-30 17:33:33.023545','2026-11-30 17:34:36.489286',6.0,6.0,NULL,'',NULL,645791744,'{"report": {}, "model": "tuned", "card": {"name": "tuned", "source": {"backend": "adapter", "location": "{HOME}/models/19-tuned", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634239, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "68f2657e1df1e76a0116f99352f47811d4a936f2ff004c5e5962fbb356bf0455", "chat": true, "path": "{HOME}/models/19-tuned", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}, "outcome": {"steps": 6, "best_step": 6, "best_loss": 2.133967081705729, "seconds": 27.494671646999905, "tokens": 1117, "peak": 602501120, "process": 549793792, "stopped_early": false, "trained": 156160, "parameters": 3844864, "local": 3844864, "score": {"step": 6, "figure": "exact match", "value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6, "words": "Step 6 is better than the base by 100.0 points of exact match, 95 % interval 21.9 to 100.0, n = 6, p = 0.031.", "worse": false, "same": "", "seconds": 1.2898381700001664}, "base": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.39033428790216534, "n": 6, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.390, n = 6.", "worse": false, "same": "", "seconds": 1.1865244010000424}, "scoring_seconds": 3.671481041000334, "rows": 48, "left_out": 0, "left_rows": [], "cut": 0, "held": 6, "step": 6, "bytes": 634239, "foreseen": 602378117}, "notes": []}',13039,3,'2026-11-30 17:33:32.808939','null',NULL);
INSERT INTO "jobs" VALUES('matrix','Matrix: suite question-answering','{"run": 21, "cells": [22, 23], "plan": {"dataset": "qa@1", "models": ["starter-causal", "tuned"], "templates": ["answer-passage"], "shots": [0], "selectors": ["random"], "samplings": [{"max_new_tokens": 32, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": null}], "seeds": [0], "rows": 100, "sample_seed": 1, "split": "test", "shot_split": "train", "fixed": [], "rendering": "by model", "use_cache": true, "metrics": [{"metric": "token_f1", "settings": {}}, {"metric": "rouge", "settings": {}}]}}','cpu',0,'finished','finished',21,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:35:37.544443','2026-11-30 17:34:41.824507','2026-11-30 17:35:37.603273',2.0,2.0,NULL,'',NULL,944664576,'{"matrix": 21, "failed": 0, "requests": 200, "cached": 0, "errors": 0}',230979,4,'2026-11-30 17:34:41.553478','null',NULL);
INSERT INTO "jobs" VALUES('evaluate','Evaluate 2 systems: Suite question-answering','{"systems": [22, 23], "metrics": [{"metric": "token_f1", "settings": {}}, {"metric": "rouge", "settings": {}}], "seed": 0, "run": 24}','cpu',0,'finished','finished',24,NULL,4,1,0,NULL,NULL,'2026-11-30 17:35:44.546773','2026-11-30 17:35:37.764603','2026-11-30 17:35:45.279480',4.0,4.0,NULL,'',NULL,688439296,'{"evaluation": 24}',40711,5,'2026-11-30 17:34:42.255124','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune starter-causal (LoRA): starter-causal-lora','{"run": 26, "plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 2, "epochs": 0.0, "batch": 4, "learning_rate": 0.001, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 2, "patience": 0, "validation_rows": 4, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "starter-causal-lora"}','cpu',0,'finished','finished',26,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:36:52.016716','2026-11-30 17:36:22.868196','2026-11-30 17:36:52.303938',2.0,2.0,NULL,'',NULL,688439296,'{"report": {}, "model": "starter-causal-lora", "card": {"name": "starter-causal-lora", "source": {"backend": "adapter", "location": "{HOME}/models/26-starter-causal-lora", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634062, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "03c537366d9165f7ccf1010b899a19f2b78bbcda5f675fd50ab830d270dbf18e", "chat": true, "path": "{HOME}/models/26-starter-causal-lora", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}, "outcome": {"steps": 2, "best_step": 2, "best_loss": 3.724306106567383, "seconds": 8.893162712000048, "tokens": 179, "peak": 598888448, "process": 550125568, "stopped_early": false, "trained": 156160, "parameters": 3844864, "local": 3844864, "score": {"step": 2, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "No difference between step 2 and the base can be told: +0.0 points of exact match, 95 % interval -49.0 to 49.0, n = 4, p = 1; on average they are equal.", "worse": false, "same": "", "seconds": 0.8204139140002553}, "base": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.490, n = 4.", "worse": false, "same": "", "seconds": 0.49021932300001936}, "scoring_seconds": 1.3106332370002747, "rows": 8, "left_out": 0, "left_rows": [], "cut": 0, "held": 4, "step": 2, "bytes": 634062, "foreseen": 600468681}, "notes": []}',7909,6,'2026-11-30 17:36:22.755532','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune starter-causal (LoRA): starter-causal-lora-2','{"run": 27, "plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 2, "epochs": 0.0, "batch": 4, "learning_rate": 0.01, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 2, "patience": 0, "validation_rows": 4, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "starter-causal-lora-2"}','cpu',0,'finished','finished',27,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:37:29.493437','2026-11-30 17:36:52.671541','2026-11-30 17:37:29.669229',2.0,2.0,NULL,'',NULL,688439296,'{"report": {}, "model": "starter-causal-lora-2", "card": {"name": "starter-causal-lora-2", "source": {"backend": "adapter", "location": "{HOME}/models/27-starter-causal-lora-2", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634062, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "e0cc0612cd9a8919c7cc92a697361d11b5c8e61e7b6f52d8e197047ff9e82ebd", "chat": true, "path": "{HOME}/models/27-starter-causal-lora-2", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}, "outcome": {"steps": 2, "best_step": 2, "best_loss": 0.8170498013496399, "seconds": 6.589207298000019, "tokens": 179, "peak": 598310912, "process": 549785600, "stopped_early": false, "trained": 156160, "parameters": 3844864, "local": 3844864, "score": {"step": 2, "figure": "exact match", "value": 1.0, "low": 0.5101091635454027, "high": 1.0, "n": 4, "words": "No difference between step 2 and the base can be told: +100.0 points of exact match, 95 % interval 2.0 to 100.0, n = 4, p = 0.12; on average they are equal.", "worse": false, "same": "", "seconds": 0.3069606799999747}, "base": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.490, n = 4.", "worse": false, "same": "", "seconds": 0.8188404909997189}, "scoring_seconds": 1.1258011709996936, "rows": 8, "left_out": 0, "left_rows": [], "cut": 0, "held": 4, "step": 2, "bytes": 634062, "foreseen": 600468681}, "notes": []}',7763,7,'2026-11-30 17:36:23.025120','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune starter-toxicity (Full fine-tuning): pol-reward','{"run": 30, "plan": {"model": "starter-toxicity", "data": [{"dataset": "polite-pairs@1", "templates": [], "weight": 1.0}], "objective": "reward", "method": "full", "method_settings": {}, "objective_settings": {"dropout": 0.3}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 10, "epochs": 0.0, "batch": 4, "learning_rate": 0.003, "length": 200, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 5, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "pol-reward"}','cpu',0,'finished','finished',30,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:37:57.047389','2026-11-30 17:37:38.944354','2026-11-30 17:37:57.602722',10.0,10.0,NULL,'',NULL,688439296,'{"report": {"n": 6, "prompts": 6, "training_pairs": 21, "accuracy": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "baselines": {"longer completion wins": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "bag of words": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "random": {"value": 0.5, "low": 0.18761630648265054, "high": 0.8123836935173494, "n": 6}}, "sentences": [], "by_annotator": {"majority": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}}, "by_criterion": {"helpful": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}}, "calibration": {"bins": [[0.4790111211721202, 0.0, 3], [0.5184053245787408, 1.0, 3]], "ece": 0.4803028982966897}, "scores": {"edges": [-0.19634762406349182, -0.19150535513957342, -0.186663086215655, -0.1818208172917366, -0.1769785483678182, -0.17213627944389978, -0.16729401051998138, -0.16245174159606296, -0.15760947267214456, -0.15276720374822617, -0.14792493482430774, -0.14308266590038934, -0.13824039697647095, -0.13339812805255252, -0.12855585912863413, -0.12371359020471573, -0.11887132128079732, -0.11402905235687891, -0.10918678343296051, -0.1043445145090421, -0.09950224558512369, -0.09465997666120529, -0.08981770773728688, -0.08497543881336847, -0.08013316988945007], "chosen": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0, 1, 1], "rejected": [1, 2, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}, "length": {"score": 0.8734262934822937, "margin": null}, "worst": [], "pairs": [[0, 4, 0.083715], [0, 7, 0.079599], [0, 14, 0.057657], [0, 19, 0.078634], [0, 22, 0.087354], [0, 29, 0.086027]]}, "model": "pol-reward", "card": {"name": "pol-reward", "source": {"backend": "local", "location": "{HOME}/models/30-pol-reward", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "reward", "family": "classifier", "architecture": "RobertaForSequenceClassification", "parameters": 1568641, "dtype": "float32", "disk_bytes": 6408497, "memory_bytes": 37774600, "context": 513, "licence": null, "content_hash": "94ad958a3f05306756012fc6424219c25138356793b83921e5720b7dca213d8b", "chat": false, "path": "{HOME}/models/30-pol-reward", "about": "Full fine-tuning of starter-toxicity: Every weight of the model is trained, and the result is a whole model. It learns most, needs most memory and forgets most.", "completes": false, "loaded_dtype": "float32", "cache_bytes": 0}, "outcome": {"steps": 10, "best_step": 10, "best_loss": 0.650360107421875, "seconds": 2.4526036960000965, "tokens": 748, "peak": 602058752, "process": 546476032, "stopped_early": false, "trained": 1568641, "parameters": 1568641, "local": 1568641, "rows": 21, "left_out": 0, "left_rows": [], "cut": 0, "held": 3, "step": 10, "bytes": 6408497, "foreseen": 597972282}, "notes": []}',11516,8,'2026-11-30 17:37:38.675503','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune tiny (Full fine-tuning): pol-dpo','{"run": 31, "plan": {"model": "tiny", "data": [{"dataset": "polite-pairs@1", "templates": [], "weight": 1.0}], "objective": "dpo", "method": "full", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 10, "epochs": 0.0, "batch": 4, "learning_rate": 0.003, "length": 200, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 5, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "pol-dpo"}','cpu',0,'finished','finished',31,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:38:18.828462','2026-11-30 17:37:58.627699','2026-11-30 17:38:19.396170',10.0,10.0,NULL,'',NULL,688439296,'{"report": {"n": 6, "prompts": 6, "training_pairs": 21, "accuracy": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "baselines": {"longer completion wins": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "bag of words": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}, "random": {"value": 0.5, "low": 0.18761630648265054, "high": 0.8123836935173494, "n": 6}}, "sentences": [], "by_annotator": {"majority": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}}, "by_criterion": {"helpful": {"value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6}}, "calibration": {"bins": [[0.21016163896640358, 0.0, 3], [0.7802915894019545, 1.0, 3]], "ece": 0.21493502478222454}, "scores": {"edges": [-0.6984352111816406, -0.6259648323059082, -0.5534944534301758, -0.48102407455444335, -0.4085536956787109, -0.3360833168029785, -0.26361293792724605, -0.19114255905151356, -0.11867218017578118, -0.046201801300048806, 0.026268577575683683, 0.09873895645141617, 0.17120933532714855, 0.24367971420288093, 0.3161500930786135, 0.3886204719543459, 0.4610908508300783, 0.5335612297058107, 0.606031608581543, 0.6785019874572756, 0.750972366333008, 0.8234427452087404, 0.895913124084473, 0.9683835029602054, 1.0408538818359376], "chosen": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 1], "rejected": [2, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}, "length": {"score": 0.7424123494599496, "margin": null}, "worst": [], "pairs": [[0, 4, 1.29753], [0, 7, 1.237843], [0, 14, 1.267226], [0, 19, 1.326575], [0, 22, 1.351883], [0, 29, 1.293886]]}, "model": "pol-dpo", "card": {"name": "pol-dpo", "source": {"backend": "local", "location": "{HOME}/models/31-pol-dpo", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 37216, "dtype": "float32", "disk_bytes": 158496, "memory_bytes": 46622668, "context": 512, "licence": null, "content_hash": "360071630cd4575c0a42dd51690482f968f5e10a6ad6b283291f370966d3aad5", "chat": true, "path": "{HOME}/models/31-pol-dpo", "about": "Full fine-tuning of tiny: Every weight of the model is trained, and the result is a whole model. It learns most, needs most memory and forgets most.", "completes": false, "loaded_dtype": "float32", "cache_bytes": 262144}, "outcome": {"steps": 10, "best_step": 10, "best_loss": 0.25773048400878906, "seconds": 3.5759766880000825, "tokens": 4240, "peak": 579158016, "process": 545230848, "stopped_early": false, "trained": 37216, "parameters": 37216, "local": 37216, "rows": 21, "left_out": 0, "left_rows": [], "cut": 0, "held": 3, "step": 10, "bytes": 158496, "foreseen": 569102083}, "notes": []}',12115,9,'2026-11-30 17:37:58.607493','null',NULL);
INSERT INTO "jobs" VALUES('evaluate','An evaluation of nothing','{"run_id": 999999, "run": 999999}','cpu',0,'failed','failed',NULL,NULL,NULL,1,0,NULL,NULL,'2026-11-30 17:38:40.111984','2026-11-30 17:38:38.023536','2026-11-30 17:38:41.189539',0.0,NULL,NULL,'','The job stopped at an error of the lab (KeyError: ''metrics'').',770007040,NULL,25,10,'2026-11-30 17:38:37.818890','null',NULL);
INSERT INTO "jobs" VALUES('train','Fine-tune starter-causal (LoRA): stopped','{"run": 35, "plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 500, "epochs": 0.0, "batch": 4, "learning_rate": null, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 0, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "model": "stopped"}','cpu',0,'cancelled','cancelled',35,NULL,NULL,1,1,NULL,NULL,'2026-11-30 17:38:43.951111','2026-11-30 17:38:43.904275','2026-11-30 17:38:45.243986',0.0,NULL,NULL,'',NULL,NULL,NULL,0,11,'2026-11-30 17:38:43.784922','null',NULL);
CREATE TABLE models (
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	backend TEXT NOT NULL,
	source JSON NOT NULL,
	revision TEXT,
	path TEXT,
	content_hash TEXT,
	card JSON NOT NULL,
	base_id INTEGER,
	made_by_run_id INTEGER,
	archived_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_models PRIMARY KEY (id),
	CONSTRAINT ck_models_role CHECK (role IN ('generate', 'reward', 'classify')),
	CONSTRAINT fk_models_base_id_models FOREIGN KEY(base_id) REFERENCES models (id),
	CONSTRAINT fk_models_made_by_run_id_runs FOREIGN KEY(made_by_run_id) REFERENCES runs (id),
	CONSTRAINT uq_models_name UNIQUE (name)
);
INSERT INTO "models" VALUES('starter-causal','generate','starter','{"backend": "starter", "location": "starter-causal", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{WEIGHTS}/starter-causal','3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041','{"name": "starter-causal", "source": {"backend": "starter", "location": "starter-causal", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3688704, "dtype": "float32", "disk_bytes": 14908843, "memory_bytes": 91395792, "context": 1024, "licence": null, "content_hash": "3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041", "chat": true, "path": "{WEIGHTS}/starter-causal", "about": "Llama, decoder-only: width 256, 4 layers, 8 heads, tied embeddings; 3.7M parameters, float32; context 1,024 tokens; chat template.", "completes": true, "loaded_dtype": "float32", "cache_bytes": 8388608}',NULL,NULL,NULL,1,'2026-11-30 17:31:53.209103');
INSERT INTO "models" VALUES('starter-seq2seq','generate','starter','{"backend": "starter", "location": "starter-seq2seq", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{WEIGHTS}/starter-seq2seq','44b4e08cb97ee5ef28aeac7938d3810fdf2064c1c1604c542264a7dda9bc0d95','{"name": "starter-seq2seq", "source": {"backend": "starter", "location": "starter-seq2seq", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "encoder-decoder", "architecture": "T5ForConditionalGeneration", "parameters": 4805376, "dtype": "float32", "disk_bytes": 19404368, "memory_bytes": 101546524, "context": 1024, "licence": null, "content_hash": "44b4e08cb97ee5ef28aeac7938d3810fdf2064c1c1604c542264a7dda9bc0d95", "chat": false, "path": "{WEIGHTS}/starter-seq2seq", "about": "A small encoder-decoder (T5 v1.1 architecture: width 256, 3 + 3 layers, 8 heads, gated GELU, tied embeddings) that follows instructions: it summarizes dialogues, translates English sentences into French, names the sentiment of reviews, answers requests and continues stories. One task of the\u2026", "completes": false, "loaded_dtype": "float32", "cache_bytes": 12582912}',NULL,NULL,NULL,2,'2026-11-30 17:31:53.251781');
INSERT INTO "models" VALUES('starter-toxicity','classify','starter','{"backend": "starter", "location": "starter-toxicity", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{WEIGHTS}/starter-toxicity','b52e01fe3590b1fcbb02eb774e24ab118b73df5e7a0e328b4676cc4b5b43def2','{"name": "starter-toxicity", "source": {"backend": "starter", "location": "starter-toxicity", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "classify", "family": "classifier", "architecture": "RobertaForSequenceClassification", "parameters": 1568834, "dtype": "float32", "disk_bytes": 6414992, "memory_bytes": 37775372, "context": 513, "licence": null, "content_hash": "b52e01fe3590b1fcbb02eb774e24ab118b73df5e7a0e328b4676cc4b5b43def2", "chat": false, "path": "{WEIGHTS}/starter-toxicity", "about": "RoBERTa, encoder with a classifier (polite, toxic): width 192, 3 layers, 6 heads; 1.6M parameters, float32; 512 tokens.", "completes": false, "loaded_dtype": "float32", "cache_bytes": 0}',NULL,NULL,NULL,3,'2026-11-30 17:31:53.272982');
INSERT INTO "models" VALUES('tiny','generate','local','{"backend": "local", "location": "{HOME}/own/tiny", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{HOME}/own/tiny','cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea','{"name": "tiny", "source": {"backend": "local", "location": "{HOME}/own/tiny", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 37216, "dtype": "float32", "disk_bytes": 157392, "memory_bytes": 46622668, "context": 512, "licence": null, "content_hash": "cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea", "chat": true, "path": "{HOME}/own/tiny", "about": "", "completes": false, "loaded_dtype": "float32", "cache_bytes": 262144}',NULL,NULL,NULL,4,'2026-11-30 17:32:10.039860');
INSERT INTO "models" VALUES('other','generate','local','{"backend": "local", "location": "{HOME}/own/other", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{HOME}/own/other','7e1f69a0090676a46430fa9518f7a1d72288d2b74ce8c2306061c79c2ee8cdcc','{"name": "other", "source": {"backend": "local", "location": "{HOME}/own/other", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 37216, "dtype": "float32", "disk_bytes": 157308, "memory_bytes": 46622668, "context": 512, "licence": null, "content_hash": "7e1f69a0090676a46430fa9518f7a1d72288d2b74ce8c2306061c79c2ee8cdcc", "chat": false, "path": "{HOME}/own/other", "about": "", "completes": false, "loaded_dtype": "float32", "cache_bytes": 262144}',NULL,NULL,NULL,5,'2026-11-30 17:32:10.093775');
INSERT INTO "models" VALUES('tuned','generate','adapter','{"backend": "adapter", "location": "{HOME}/models/19-tuned", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}',NULL,'{HOME}/models/19-tuned','68f2657e1df1e76a0116f99352f47811d4a936f2ff004c5e5962fbb356bf0455','{"name": "tuned", "source": {"backend": "adapter", "location": "{HOME}/models/19-tuned", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634239, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "68f2657e1df1e76a0116f99352f47811d4a936f2ff004c5e5962fbb356bf0455", "chat": true, "path": "{HOME}/models/19-tuned", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}',1,19,NULL,6,'2026-11-30 17:33:32.808549');
INSERT INTO "models" VALUES('starter-causal-lora','generate','adapter','{"backend": "adapter", "location": "{HOME}/models/26-starter-causal-lora", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}',NULL,'{HOME}/models/26-starter-causal-lora','03c537366d9165f7ccf1010b899a19f2b78bbcda5f675fd50ab830d270dbf18e','{"name": "starter-causal-lora", "source": {"backend": "adapter", "location": "{HOME}/models/26-starter-causal-lora", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634062, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "03c537366d9165f7ccf1010b899a19f2b78bbcda5f675fd50ab830d270dbf18e", "chat": true, "path": "{HOME}/models/26-starter-causal-lora", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}',1,26,NULL,7,'2026-11-30 17:36:22.754984');
INSERT INTO "models" VALUES('starter-causal-lora-2','generate','adapter','{"backend": "adapter", "location": "{HOME}/models/27-starter-causal-lora-2", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}',NULL,'{HOME}/models/27-starter-causal-lora-2','e0cc0612cd9a8919c7cc92a697361d11b5c8e61e7b6f52d8e197047ff9e82ebd','{"name": "starter-causal-lora-2", "source": {"backend": "adapter", "location": "{HOME}/models/27-starter-causal-lora-2", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3844864, "dtype": "float32", "disk_bytes": 634062, "memory_bytes": 15379456, "context": 1024, "licence": null, "content_hash": "e0cc0612cd9a8919c7cc92a697361d11b5c8e61e7b6f52d8e197047ff9e82ebd", "chat": true, "path": "{HOME}/models/27-starter-causal-lora-2", "about": "LORA adapter with 156,160 parameters on starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 0}',1,27,NULL,8,'2026-11-30 17:36:22.983684');
INSERT INTO "models" VALUES('pol-reward','reward','local','{"backend": "local", "location": "{HOME}/models/30-pol-reward", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{HOME}/models/30-pol-reward','94ad958a3f05306756012fc6424219c25138356793b83921e5720b7dca213d8b','{"name": "pol-reward", "source": {"backend": "local", "location": "{HOME}/models/30-pol-reward", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "reward", "family": "classifier", "architecture": "RobertaForSequenceClassification", "parameters": 1568641, "dtype": "float32", "disk_bytes": 6408497, "memory_bytes": 37774600, "context": 513, "licence": null, "content_hash": "94ad958a3f05306756012fc6424219c25138356793b83921e5720b7dca213d8b", "chat": false, "path": "{HOME}/models/30-pol-reward", "about": "Full fine-tuning of starter-toxicity: Every weight of the model is trained, and the result is a whole model. It learns most, needs most memory and forgets most.", "completes": false, "loaded_dtype": "float32", "cache_bytes": 0}',NULL,30,NULL,9,'2026-11-30 17:37:38.674961');
INSERT INTO "models" VALUES('pol-dpo','generate','local','{"backend": "local", "location": "{HOME}/models/31-pol-dpo", "revision": null, "base": null, "remote_name": null, "key_env": null}',NULL,'{HOME}/models/31-pol-dpo','360071630cd4575c0a42dd51690482f968f5e10a6ad6b283291f370966d3aad5','{"name": "pol-dpo", "source": {"backend": "local", "location": "{HOME}/models/31-pol-dpo", "revision": null, "base": null, "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 37216, "dtype": "float32", "disk_bytes": 158496, "memory_bytes": 46622668, "context": 512, "licence": null, "content_hash": "360071630cd4575c0a42dd51690482f968f5e10a6ad6b283291f370966d3aad5", "chat": true, "path": "{HOME}/models/31-pol-dpo", "about": "Full fine-tuning of tiny: Every weight of the model is trained, and the result is a whole model. It learns most, needs most memory and forgets most.", "completes": false, "loaded_dtype": "float32", "cache_bytes": 262144}',NULL,31,NULL,10,'2026-11-30 17:37:58.607095');
INSERT INTO "models" VALUES('stopped','generate','adapter','{"backend": "adapter", "location": "{HOME}/models/35-stopped", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}',NULL,NULL,NULL,'{"name": "stopped", "source": {"backend": "adapter", "location": "{HOME}/models/35-stopped", "revision": null, "base": "starter-causal", "remote_name": null, "key_env": null}, "role": "generate", "family": "decoder-only", "architecture": "LlamaForCausalLM", "parameters": 3688704, "dtype": "float32", "disk_bytes": 14908843, "memory_bytes": 91395792, "context": 1024, "licence": null, "content_hash": null, "chat": true, "path": null, "about": "LoRA of starter-causal", "completes": true, "loaded_dtype": "float32", "cache_bytes": 8388608}',1,35,NULL,11,'2026-11-30 17:38:43.784502');
CREATE TABLE presets (
	name TEXT NOT NULL,
	settings JSON NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_presets PRIMARY KEY (id),
	CONSTRAINT uq_presets_name UNIQUE (name)
);
INSERT INTO "presets" VALUES('wild','{"max_new_tokens": 128, "temperature": 1.7, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 3, "beams": 1, "num_completions": 2, "greedy": false, "stop": [], "seed": null}',1,'2026-11-30 17:32:27.640534');
CREATE TABLE rankings (
	assignment_id INTEGER NOT NULL,
	campaign_id INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	groups JSON NOT NULL,
	both_bad BOOLEAN NOT NULL,
	flag BOOLEAN NOT NULL,
	comment TEXT NOT NULL,
	skip TEXT,
	seconds DOUBLE NOT NULL,
	current BOOLEAN NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_rankings PRIMARY KEY (id),
	CONSTRAINT fk_rankings_assignment_id_assignments FOREIGN KEY(assignment_id) REFERENCES assignments (id) ON DELETE CASCADE,
	CONSTRAINT fk_rankings_campaign_id_campaigns FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE,
	CONSTRAINT uq_rankings_assignment_id_revision UNIQUE (assignment_id, revision)
);
INSERT INTO "rankings" VALUES(1,1,0,'[[53], [54]]',0,0,'',NULL,2.0,1,1,'2026-11-30 17:37:32.687128');
INSERT INTO "rankings" VALUES(2,1,0,'[[43], [44]]',0,0,'',NULL,2.0,1,2,'2026-11-30 17:37:32.795285');
INSERT INTO "rankings" VALUES(3,1,0,'[[56], [55]]',0,0,'',NULL,2.0,1,3,'2026-11-30 17:37:32.880108');
INSERT INTO "rankings" VALUES(4,1,0,'[[33], [34]]',0,0,'',NULL,2.0,1,4,'2026-11-30 17:37:32.993923');
INSERT INTO "rankings" VALUES(5,1,0,'[[46], [45]]',0,0,'',NULL,2.0,1,5,'2026-11-30 17:37:33.340503');
INSERT INTO "rankings" VALUES(6,1,0,'[[26], [25]]',0,0,'',NULL,2.0,1,6,'2026-11-30 17:37:33.407065');
INSERT INTO "rankings" VALUES(31,1,0,'[[53], [54]]',0,0,'',NULL,2.0,1,31,'2026-11-30 17:37:35.856014');
INSERT INTO "rankings" VALUES(32,1,0,'[[43], [44]]',0,0,'',NULL,2.0,1,32,'2026-11-30 17:37:35.857045');
INSERT INTO "rankings" VALUES(33,1,0,'[[56], [55]]',0,0,'',NULL,2.0,1,33,'2026-11-30 17:37:35.857910');
INSERT INTO "rankings" VALUES(34,1,0,'[[33], [34]]',0,0,'',NULL,2.0,1,34,'2026-11-30 17:37:35.858838');
INSERT INTO "rankings" VALUES(35,1,0,'[[46], [45]]',0,0,'',NULL,2.0,1,35,'2026-11-30 17:37:35.861046');
INSERT INTO "rankings" VALUES(36,1,0,'[[26], [25]]',0,0,'',NULL,2.0,1,36,'2026-11-30 17:37:35.866445');
INSERT INTO "rankings" VALUES(61,2,0,'[[61], [62]]',0,0,'',NULL,0.1,1,61,'2026-11-30 17:38:37.809767');
CREATE TABLE ratings (
	generation_id INTEGER NOT NULL,
	thumb INTEGER NOT NULL,
	comment TEXT NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_ratings PRIMARY KEY (id),
	CONSTRAINT fk_ratings_generation_id_generations FOREIGN KEY(generation_id) REFERENCES generations (id) ON DELETE CASCADE,
	CONSTRAINT uq_ratings_generation_id UNIQUE (generation_id)
);
CREATE TABLE responses (
	"key" TEXT NOT NULL,
	text TEXT NOT NULL,
	finish_reason TEXT NOT NULL,
	prompt_tokens INTEGER NOT NULL,
	completion_tokens INTEGER NOT NULL,
	seconds DOUBLE NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_responses PRIMARY KEY (id),
	CONSTRAINT uq_responses_key UNIQUE ("key")
);
CREATE TABLE "run_inputs" (
	run_id INTEGER NOT NULL,
	role TEXT NOT NULL,
	model_id INTEGER,
	content_hash TEXT,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	dataset_version_id INTEGER,
	template_version_id INTEGER,
	source_run_id INTEGER,
	CONSTRAINT pk_run_inputs PRIMARY KEY (id),
	CONSTRAINT fk_run_inputs_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
	CONSTRAINT uq_run_inputs_run_id_role UNIQUE (run_id, role),
	CONSTRAINT fk_run_inputs_model_id_models FOREIGN KEY(model_id) REFERENCES models (id),
	CONSTRAINT fk_run_inputs_dataset_version_id_dataset_versions FOREIGN KEY(dataset_version_id) REFERENCES dataset_versions (id),
	CONSTRAINT fk_run_inputs_source_run_id_runs FOREIGN KEY(source_run_id) REFERENCES runs (id),
	CONSTRAINT fk_run_inputs_template_version_id_template_versions FOREIGN KEY(template_version_id) REFERENCES template_versions (id),
	CONSTRAINT ck_run_inputs_one_input CHECK (CASE WHEN model_id IS NULL THEN 0 ELSE 1 END + CASE WHEN dataset_version_id IS NULL THEN 0 ELSE 1 END + CASE WHEN template_version_id IS NULL THEN 0 ELSE 1 END + CASE WHEN source_run_id IS NULL THEN 0 ELSE 1 END = 1)
);
INSERT INTO "run_inputs" VALUES(3,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',1,'2026-11-30 17:32:17.576004',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(4,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',2,'2026-11-30 17:32:17.847373',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(5,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',3,'2026-11-30 17:32:22.047544',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(6,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',4,'2026-11-30 17:32:22.449563',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(7,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',5,'2026-11-30 17:32:22.576514',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(8,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',6,'2026-11-30 17:32:27.397314',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(9,'model',5,'7e1f69a0090676a46430fa9518f7a1d72288d2b74ce8c2306061c79c2ee8cdcc',7,'2026-11-30 17:32:27.422582',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(10,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',8,'2026-11-30 17:32:27.546858',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(11,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',9,'2026-11-30 17:32:27.913220',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(12,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',10,'2026-11-30 17:32:27.923158',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(12,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',11,'2026-11-30 17:32:27.923160',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(12,'template',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',12,'2026-11-30 17:32:27.923160',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(13,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',13,'2026-11-30 17:32:27.924829',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(13,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',14,'2026-11-30 17:32:27.924831',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(13,'template',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',15,'2026-11-30 17:32:27.924832',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(14,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',16,'2026-11-30 17:32:27.925768',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(14,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',17,'2026-11-30 17:32:27.925769',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(14,'template',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',18,'2026-11-30 17:32:27.925770',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(15,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',19,'2026-11-30 17:32:27.950165',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(15,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',20,'2026-11-30 17:32:27.950172',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(15,'template',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',21,'2026-11-30 17:32:27.950173',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(16,'system 1',NULL,NULL,22,'2026-11-30 17:33:10.188932',NULL,NULL,12);
INSERT INTO "run_inputs" VALUES(16,'system 2',NULL,NULL,23,'2026-11-30 17:33:10.188933',NULL,NULL,13);
INSERT INTO "run_inputs" VALUES(16,'system 3',NULL,NULL,24,'2026-11-30 17:33:10.188934',NULL,NULL,14);
INSERT INTO "run_inputs" VALUES(16,'system 4',NULL,NULL,25,'2026-11-30 17:33:10.188934',NULL,NULL,15);
INSERT INTO "run_inputs" VALUES(16,'dataset',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',26,'2026-11-30 17:33:10.188935',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(18,'dataset',NULL,'bbbc63a32bc68c7dce4c5d3eacca043739d0ee4cdcb04c6309a11f64fa417269',27,'2026-11-30 17:33:18.294619',3,NULL,NULL);
INSERT INTO "run_inputs" VALUES(19,'base',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',28,'2026-11-30 17:33:32.806988',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(19,'dataset 1',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',29,'2026-11-30 17:33:32.806991',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(19,'template 1.1',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',30,'2026-11-30 17:33:32.806992',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(21,'dataset',NULL,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62',31,'2026-11-30 17:34:41.550758',4,NULL,NULL);
INSERT INTO "run_inputs" VALUES(22,'model',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',32,'2026-11-30 17:34:41.552011',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(22,'dataset',NULL,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62',33,'2026-11-30 17:34:41.552012',4,NULL,NULL);
INSERT INTO "run_inputs" VALUES(22,'template',NULL,'8e2f04711f7e7089ac06d2e3538eb86029cd4312bad26c578d298d05eb978a06',34,'2026-11-30 17:34:41.552013',NULL,19,NULL);
INSERT INTO "run_inputs" VALUES(23,'model',6,'68f2657e1df1e76a0116f99352f47811d4a936f2ff004c5e5962fbb356bf0455',35,'2026-11-30 17:34:41.553002',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(23,'dataset',NULL,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62',36,'2026-11-30 17:34:41.553004',4,NULL,NULL);
INSERT INTO "run_inputs" VALUES(23,'template',NULL,'8e2f04711f7e7089ac06d2e3538eb86029cd4312bad26c578d298d05eb978a06',37,'2026-11-30 17:34:41.553004',NULL,19,NULL);
INSERT INTO "run_inputs" VALUES(24,'system 1',NULL,NULL,38,'2026-11-30 17:34:42.215658',NULL,NULL,22);
INSERT INTO "run_inputs" VALUES(24,'system 2',NULL,NULL,39,'2026-11-30 17:34:42.215661',NULL,NULL,23);
INSERT INTO "run_inputs" VALUES(24,'dataset',NULL,'162f216b91b6715840e331d23f368633185d2c7195a103e9602b9b5265f6ad62',40,'2026-11-30 17:34:42.215661',4,NULL,NULL);
INSERT INTO "run_inputs" VALUES(26,'base',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',41,'2026-11-30 17:36:22.710320',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(26,'dataset 1',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',42,'2026-11-30 17:36:22.710325',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(26,'template 1.1',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',43,'2026-11-30 17:36:22.710326',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(27,'base',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',44,'2026-11-30 17:36:22.970144',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(27,'dataset 1',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',45,'2026-11-30 17:36:22.970149',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(27,'template 1.1',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',46,'2026-11-30 17:36:22.970150',NULL,11,NULL);
INSERT INTO "run_inputs" VALUES(29,'campaign',NULL,NULL,47,'2026-11-30 17:37:36.081339',NULL,NULL,28);
INSERT INTO "run_inputs" VALUES(30,'base',3,'b52e01fe3590b1fcbb02eb774e24ab118b73df5e7a0e328b4676cc4b5b43def2',48,'2026-11-30 17:37:38.661258',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(30,'dataset 1',NULL,'b01826050cf0ef234e1699d5251ca589b57c60d0c0c11877deaa7704ccd55584',49,'2026-11-30 17:37:38.661260',5,NULL,NULL);
INSERT INTO "run_inputs" VALUES(31,'base',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',50,'2026-11-30 17:37:58.605836',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(31,'dataset 1',NULL,'b01826050cf0ef234e1699d5251ca589b57c60d0c0c11877deaa7704ccd55584',51,'2026-11-30 17:37:58.605838',5,NULL,NULL);
INSERT INTO "run_inputs" VALUES(32,'model 1',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',52,'2026-11-30 17:38:37.588632',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(32,'model 2',5,'7e1f69a0090676a46430fa9518f7a1d72288d2b74ce8c2306061c79c2ee8cdcc',53,'2026-11-30 17:38:37.588634',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(33,'model',5,'7e1f69a0090676a46430fa9518f7a1d72288d2b74ce8c2306061c79c2ee8cdcc',54,'2026-11-30 17:38:37.806874',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(34,'model',4,'cd594a6036770a2a5636caee931762f102e752e47c885941c04d66acb32bd2ea',55,'2026-11-30 17:38:37.808761',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(35,'base',1,'3e75a66d74bc59773f13e99e2a196f18c3e11bf64c1df2e73e5770a43513d041',56,'2026-11-30 17:38:43.782841',NULL,NULL,NULL);
INSERT INTO "run_inputs" VALUES(35,'dataset 1',NULL,'d5289b5008201cc4f5abbcb781537747609eb27315b401db6da7ff43a481c082',57,'2026-11-30 17:38:43.782847',1,NULL,NULL);
INSERT INTO "run_inputs" VALUES(35,'template 1.1',NULL,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885',58,'2026-11-30 17:38:43.782848',NULL,11,NULL);
CREATE TABLE runs (
	experiment_id INTEGER,
	parent_id INTEGER,
	kind TEXT NOT NULL,
	"group" TEXT,
	settings JSON NOT NULL,
	seed INTEGER NOT NULL,
	code_revision TEXT NOT NULL,
	dirty BOOLEAN NOT NULL,
	packages JSON NOT NULL,
	device TEXT NOT NULL,
	status TEXT NOT NULL,
	seconds DOUBLE,
	error TEXT,
	deleted_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL, title TEXT, tags JSON,
	CONSTRAINT pk_runs PRIMARY KEY (id),
	CONSTRAINT ck_runs_status CHECK (status IN ('running', 'finished', 'cancelled', 'failed')),
	CONSTRAINT fk_runs_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (id),
	CONSTRAINT fk_runs_parent_id_runs FOREIGN KEY(parent_id) REFERENCES runs (id)
);
INSERT INTO "runs" VALUES(NULL,NULL,'import',NULL,'{"name": "reviews", "source": {"kind": "starter", "task": "sentiment", "seed": 1, "rows": {"train": 80, "validation": 20, "test": 40}}, "split": {"by": "column", "ratios": [0.8, 0.1, 0.1], "column": "split", "seed": 0, "only": "test"}, "mapping": {"input": ["input"], "reference": ["reference"], "label": ["sentiment"]}, "drop_bad": false}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,1,'2026-11-30 17:32:10.944040',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'import',NULL,'{"name": "rows", "source": {"kind": "file", "name": "rows.csv", "sha256": "5ba410dbbd73d12f9a152c27c6538e966cb78e21b3a0f957d9c6a059c1e04f7f"}, "split": {"by": "none", "ratios": [0.8, 0.1, 0.1], "column": "", "seed": 0, "only": "test"}, "mapping": {"input": ["input"], "reference": ["reference"]}, "drop_bad": false}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,2,'2026-11-30 17:32:11.508959',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate',NULL,'{"sampling": {"max_new_tokens": 12, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 1}, "prompt": {"text": "Once there was", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 0}',1,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0+cpu", "transformers": "5.23.0", "tokenizers": "0.23.3", "peft": "0.21.2", "numpy": "2.4.6", "gradio": "6.31.0", "sqlalchemy": "2.1.9"}','cpu','finished',1.7354466699998738477e-01,NULL,NULL,3,'2026-11-30 17:32:17.568301',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate',NULL,'{"sampling": {"max_new_tokens": 10, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 4, "greedy": false, "stop": [], "seed": 5}, "prompt": {"text": "Tell a story.", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 0}',5,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',2.37402177999683772213e-01,NULL,NULL,4,'2026-11-30 17:32:17.846803',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate',NULL,'{"sampling": {"max_new_tokens": 8, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 2, "beams": 3, "num_completions": 1, "greedy": false, "stop": [], "seed": 842746579}, "prompt": {"text": "Once", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 0}',842746579,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',2.46009106999736104626e-01,NULL,NULL,5,'2026-11-30 17:32:22.043995',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate',NULL,'{"sampling": {"max_new_tokens": 8, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 2}, "prompt": {"text": "", "messages": [{"role": "user", "content": "Hello"}], "mode": "chat", "prefix": [], "shared": 0}, "trace": 0}',2,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',9.96118970001589332241e-02,NULL,NULL,6,'2026-11-30 17:32:22.449036',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,3,'generate',NULL,'{"sampling": {"max_new_tokens": 12, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 1}, "prompt": {"text": "Once there was", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 8}',1,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',2.2480822999978045118e-01,NULL,NULL,7,'2026-11-30 17:32:22.573694',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate','5084afd656d1','{"sampling": {"max_new_tokens": 6, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 3}, "prompt": {"text": "Once", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 8}',3,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',8.46042950001901772338e-02,NULL,NULL,8,'2026-11-30 17:32:27.396823',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate','5084afd656d1','{"sampling": {"max_new_tokens": 6, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 3}, "prompt": {"text": "Once", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 8}',3,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',1.03640172999803326092e-01,NULL,NULL,9,'2026-11-30 17:32:27.402361',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate',NULL,'{"sampling": {"max_new_tokens": 400, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": false, "stop": [], "seed": 3}, "prompt": {"text": "Once", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 8}',3,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','cancelled',6.7581751000034273602e-02,NULL,NULL,10,'2026-11-30 17:32:27.546424',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'matrix',NULL,'{"title": "reviews@1: 4 cells", "plan": {"dataset": "reviews", "models": ["starter-causal", "tiny"], "templates": ["classify-review"], "shots": [0, 1], "selectors": ["random"], "samplings": [{"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": null}], "seeds": [0], "rows": 8, "sample_seed": 0, "split": "test", "shot_split": "train", "fixed": [], "rendering": "by model", "use_cache": true, "metrics": [{"metric": "exact_match", "settings": {}}]}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,11,'2026-11-30 17:32:27.912856',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,11,'predict',NULL,'{"label": "starter-causal \u00b7 0 shots", "k": 0, "selector": "", "most_shots": 1, "sampling": {"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 8, "sample_seed": 0, "rendering": "by model", "fixed": [], "fitted": {"0": 8}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',3.07735433650000231873e+01,NULL,NULL,12,'2026-11-30 17:32:27.922137',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,11,'predict',NULL,'{"label": "starter-causal \u00b7 1 shot", "k": 1, "selector": "random", "most_shots": 1, "sampling": {"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 8, "sample_seed": 0, "rendering": "by model", "fixed": [], "fitted": {"1": 8}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',3.5935755199989216635e-01,NULL,NULL,13,'2026-11-30 17:32:27.924549',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,11,'predict',NULL,'{"label": "tiny \u00b7 0 shots", "k": 0, "selector": "", "most_shots": 1, "sampling": {"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 8, "sample_seed": 0, "rendering": "by model", "fixed": [], "fitted": {"0": 8}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',4.70600040399995123152e+00,NULL,NULL,14,'2026-11-30 17:32:27.925533',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,11,'predict',NULL,'{"label": "tiny \u00b7 1 shot", "k": 1, "selector": "random", "most_shots": 1, "sampling": {"max_new_tokens": 4, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 8, "sample_seed": 0, "rendering": "by model", "fixed": [], "fitted": {"1": 8}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',7.02420011999947746517e-01,NULL,NULL,15,'2026-11-30 17:32:27.943195',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'evaluate',NULL,'{"title": "exact_match, token_f1", "metrics": [{"metric": "exact_match", "settings": {}}, {"metric": "token_f1", "settings": {}}], "systems": [12, 13, 14, 15], "baseline": 12}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,16,'2026-11-30 17:33:10.188537',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'import',NULL,'{"name": "predictions preds", "source": {"kind": "file", "name": "preds.csv", "sha256": "c2bbf067c4ea45562e3f4318fdcbd06cf3e341fdf0632a8df1cda80c696af326", "options": {"encoding": "", "separator": "", "as_is": true}}, "split": {"by": "none", "ratios": [0.8, 0.1, 0.1], "column": "", "seed": 0, "only": "test"}, "mapping": {"reference": ["reference"], "metadata": ["prediction"], "input": ["input"]}, "drop_bad": false}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,17,'2026-11-30 17:33:17.631329',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'predict',NULL,'{"label": "prediction", "uploaded": "preds.csv", "column": "prediction"}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,18,'2026-11-30 17:33:18.251565',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'train',NULL,'{"plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 6, "epochs": 0.0, "batch": 4, "learning_rate": 0.001, "length": 96, "target_length": 128, "seed": 0, "accumulation": 2, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 0.5, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 3, "patience": 5, "validation_rows": 6, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 15379584, "gradients": 624640, "optimiser": 1249504, "activations": 11088900, "temporaries": 2097156, "peak": 602378117, "trained": 156160, "parameters": 3844864, "held": 9562973, "process": 535000000}, "free": 20354830336, "disk": 8120320, "disk_free": 81319329792, "length": 32, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "tuned", "rate": 0.001, "scores": {"0": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.39033428790216534, "n": 6, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.390, n = 6.", "worse": false, "same": "", "seconds": 1.1865244010000424}, "3": {"step": 3, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.39033428790216534, "n": 6, "words": "No difference between step 3 and the base can be told: +0.0 points of exact match, 95 % interval -39.0 to 39.0, n = 6, p = 1; on average they are equal.", "worse": false, "same": "", "seconds": 1.195118470000125}, "6": {"step": 6, "figure": "exact match", "value": 1.0, "low": 0.6096657120978346, "high": 1.0, "n": 6, "words": "Step 6 is better than the base by 100.0 points of exact match, 95 % interval 21.9 to 100.0, n = 6, p = 0.031.", "worse": false, "same": "", "seconds": 1.2898381700001664}}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0+cpu", "transformers": "5.23.0", "tokenizers": "0.23.3", "peft": "0.21.2", "numpy": "2.4.6", "gradio": "6.31.0", "sqlalchemy": "2.1.9"}','cpu','finished',2.74946716469999046243e+01,NULL,NULL,19,'2026-11-30 17:33:32.806150','tuned','["old"]');
INSERT INTO "runs" VALUES(NULL,NULL,'import',NULL,'{"name": "qa", "source": {"kind": "starter", "task": "qa", "seed": 1, "rows": {"train": 2000, "validation": 300, "test": 300}}, "split": {"by": "column", "ratios": [0.8, 0.1, 0.1], "column": "split", "seed": 0, "only": "test"}, "mapping": {"input": ["input"], "reference": ["reference"]}, "drop_bad": false}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,20,'2026-11-30 17:34:40.953572',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'matrix',NULL,'{"title": "suite question-answering", "plan": {"dataset": "qa@1", "models": ["starter-causal", "tuned"], "templates": ["answer-passage"], "shots": [0], "selectors": ["random"], "samplings": [{"max_new_tokens": 32, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": null}], "seeds": [0], "rows": 100, "sample_seed": 1, "split": "test", "shot_split": "train", "fixed": [], "rendering": "by model", "use_cache": true, "metrics": [{"metric": "token_f1", "settings": {}}, {"metric": "rouge", "settings": {}}]}}',1,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,21,'2026-11-30 17:34:41.550088',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,21,'predict',NULL,'{"label": "starter-causal", "k": 0, "selector": "", "most_shots": 0, "sampling": {"max_new_tokens": 32, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 100, "sample_seed": 1, "rendering": "by model", "fixed": [], "fitted": {"0": 100}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',3.68153740829998241687e+01,NULL,NULL,22,'2026-11-30 17:34:41.551678',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,21,'predict',NULL,'{"label": "tuned", "k": 0, "selector": "", "most_shots": 0, "sampling": {"max_new_tokens": 32, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 0}, "split": "test", "shot_split": "train", "rows": 100, "sample_seed": 1, "rendering": "by model", "fixed": [], "fitted": {"0": 100}, "cached": 0}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',16.3952754500001,NULL,NULL,23,'2026-11-30 17:34:41.552766',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'evaluate',NULL,'{"title": "Suite question-answering", "metrics": [{"metric": "token_f1", "settings": {}}, {"metric": "rouge", "settings": {}}], "systems": [22, 23], "baseline": 22}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,24,'2026-11-30 17:34:42.215086',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'study',NULL,'{"kind": "sweep", "grid": {"training.learning_rate": [0.001, 0.01]}, "draws": 0, "runs": [26, 27], "evaluations": {}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,25,'2026-11-30 17:36:22.574738','Sweep of training.learning_rate',NULL);
INSERT INTO "runs" VALUES(NULL,25,'train',NULL,'{"plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 2, "epochs": 0.0, "batch": 4, "learning_rate": 0.001, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 2, "patience": 0, "validation_rows": 4, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 15379584, "gradients": 624640, "optimiser": 1249504, "activations": 11088900, "temporaries": 2097156, "peak": 602378117, "trained": 156160, "parameters": 3844864, "held": 9562973, "process": 535000000}, "free": 19239931904, "disk": 8120320, "disk_free": 81193738240, "length": 32, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "starter-causal-lora", "rate": 0.001, "scores": {"0": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.490, n = 4.", "worse": false, "same": "", "seconds": 0.49021932300001936}, "2": {"step": 2, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "No difference between step 2 and the base can be told: +0.0 points of exact match, 95 % interval -49.0 to 49.0, n = 4, p = 1; on average they are equal.", "worse": false, "same": "", "seconds": 0.8204139140002553}}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',8.89316271200004848651e+00,NULL,NULL,26,'2026-11-30 17:36:22.693240','learning rate 0.001','[]');
INSERT INTO "runs" VALUES(NULL,25,'train',NULL,'{"plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 2, "epochs": 0.0, "batch": 4, "learning_rate": 0.01, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 2, "patience": 0, "validation_rows": 4, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 15379584, "gradients": 624640, "optimiser": 1249504, "activations": 11088900, "temporaries": 2097156, "peak": 602378117, "trained": 156160, "parameters": 3844864, "held": 9562973, "process": 535000000}, "free": 19436994560, "disk": 8120320, "disk_free": 81201979392, "length": 32, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "starter-causal-lora-2", "rate": 0.01, "scores": {"0": {"step": 0, "figure": "exact match", "value": 0.0, "low": 0.0, "high": 0.4898908364545973, "n": 4, "words": "The base has 0.000 exact match, 95 % interval 0.000 to 0.490, n = 4.", "worse": false, "same": "", "seconds": 0.8188404909997189}, "2": {"step": 2, "figure": "exact match", "value": 1.0, "low": 0.5101091635454027, "high": 1.0, "n": 4, "words": "No difference between step 2 and the base can be told: +100.0 points of exact match, 95 % interval 2.0 to 100.0, n = 4, p = 0.12; on average they are equal.", "worse": false, "same": "", "seconds": 0.3069606799999747}}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',6.58920729800001936382e+00,NULL,NULL,27,'2026-11-30 17:36:22.951249','learning rate 0.01','[]');
INSERT INTO "runs" VALUES(NULL,NULL,'campaign',NULL,'{"plan": {"name": "polite", "criterion": "helpful", "guidelines": "", "kind": "pairwise", "overlap": 2, "ties": true, "both_bad": true, "repeats": 0.0, "lease": 1800, "seed": 0}, "source": {}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,28,'2026-11-30 17:37:30.087896','polite',NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'import',NULL,'{"name": "polite-pairs", "source": {"kind": "campaign", "campaign": 1, "name": "polite", "votes": "majority", "through": 60, "decided": {}}, "split": {"by": "group", "ratios": [0.7, 0.1, 0.2], "column": "prompt", "seed": 0, "only": "test"}, "mapping": {"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]}, "drop_bad": false}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,29,'2026-11-30 17:37:36.068409',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'train',NULL,'{"plan": {"model": "starter-toxicity", "data": [{"dataset": "polite-pairs@1", "templates": [], "weight": 1.0}], "objective": "reward", "method": "full", "method_settings": {}, "objective_settings": {"dropout": 0.3}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 10, "epochs": 0.0, "batch": 4, "learning_rate": 0.003, "length": 200, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 5, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 6282788, "gradients": 6274564, "optimiser": 12549356, "activations": 64, "temporaries": 3145728, "peak": 597972282, "trained": 1568641, "parameters": 1568641, "held": 6719782, "process": 535000000}, "free": 20519366656, "disk": 81569332, "disk_free": 81189994496, "length": 12, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "pol-reward", "rate": 0.003}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',2.45260369600009653368e+00,NULL,NULL,30,'2026-11-30 17:37:38.660793','pol-reward','[]');
INSERT INTO "runs" VALUES(NULL,NULL,'train',NULL,'{"plan": {"model": "tiny", "data": [{"dataset": "polite-pairs@1", "templates": [], "weight": 1.0}], "objective": "dpo", "method": "full", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 10, "epochs": 0.0, "batch": 4, "learning_rate": 0.003, "length": 200, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 5, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 148896, "gradients": 148864, "optimiser": 297812, "activations": 2931716, "temporaries": 928260, "peak": 569102083, "trained": 37216, "parameters": 37216, "held": 1795399, "process": 535000000}, "free": 20422111232, "disk": 1935232, "disk_free": 81184702464, "length": 56, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "pol-dpo", "rate": 0.003}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',3.575976688000082504e+00,NULL,NULL,31,'2026-11-30 17:37:58.605307','pol-dpo','[]');
INSERT INTO "runs" VALUES(NULL,NULL,'campaign',NULL,'{"plan": {"name": "Demo: Ours", "criterion": "helpful", "guidelines": "", "kind": "pairwise", "overlap": 1, "ties": true, "both_bad": true, "repeats": 0.0, "lease": 1800, "seed": 0}, "source": {"demo": "Ours"}}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',NULL,NULL,NULL,32,'2026-11-30 17:38:37.588259','Demo: Ours',NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate','d1ffaa267696','{"sampling": {"max_new_tokens": 8, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 1908880193}, "prompt": {"text": "Once upon", "messages": [], "mode": "completion", "prefix": [], "shared": 0}, "trace": 0}',1908880193,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',1.40287650001482688821e-02,NULL,NULL,33,'2026-11-30 17:38:37.806595',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'generate','d1ffaa267696','{"sampling": {"max_new_tokens": 8, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "beams": 1, "num_completions": 1, "greedy": true, "stop": [], "seed": 275283484}, "prompt": {"text": "", "messages": [{"role": "user", "content": "Once upon"}], "mode": "chat", "prefix": [], "shared": 0}, "trace": 0}',275283484,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','finished',1.19479619997946429066e-02,NULL,NULL,34,'2026-11-30 17:38:37.808549',NULL,NULL);
INSERT INTO "runs" VALUES(NULL,NULL,'train',NULL,'{"plan": {"model": "starter-causal", "data": [{"dataset": "reviews@1", "templates": ["classify-review@1"], "weight": 1.0}], "objective": "instruction", "method": "lora", "method_settings": {}, "objective_settings": {}, "mixing": "size", "cap": 3000, "temperature": 2.0, "split": "train", "validation_split": "validation", "format": "by model", "training": {"steps": 500, "epochs": 0.0, "batch": 4, "learning_rate": null, "length": 96, "target_length": 128, "seed": 0, "accumulation": 1, "schedule": "cosine", "warmup": 0.05, "weight_decay": 0.01, "clip": 1.0, "grouping": true, "precision": "float32", "checkpointing": false, "evaluate_every": 0, "patience": 0, "validation_rows": 200, "score_rows": 50, "processes": 1, "sharding": "none"}}, "predicted": {"memory": {"weights": 15379584, "gradients": 624640, "optimiser": 1249504, "activations": 11088900, "temporaries": 2097156, "peak": 602378117, "trained": 156160, "parameters": 3844864, "held": 9562973, "process": 535000000}, "free": 19815878656, "disk": 8120320, "disk_free": 81121230848, "length": 32, "target": 0, "fits": true, "processes": 1, "gpus": {"RTX 3060 12 GB": true, "T4": true, "RTX 4080": true, "V100 16 GB": true, "A10G": true, "L4": true, "RTX 4090": true, "RTX 3090": true, "RTX 5090": true, "V100 32 GB": true, "A100 40 GB": true, "L40S": true, "RTX A6000": true, "A100 80 GB": true, "H100": true, "H200": true, "B200": true}}, "model": "stopped", "rate": 0.002}',0,'94559d440586cab9d600dc2693181962ddd6be98',0,'{"torch": "2.13.0"}','cpu','cancelled',NULL,NULL,NULL,35,'2026-11-30 17:38:43.771957','stopped','[]');
CREATE TABLE scores (
	run_id INTEGER NOT NULL,
	source_run_id INTEGER NOT NULL,
	metric TEXT NOT NULL,
	figure TEXT NOT NULL,
	signature TEXT NOT NULL,
	settings JSON NOT NULL,
	value DOUBLE,
	low DOUBLE,
	high DOUBLE,
	n INTEGER NOT NULL,
	per_example JSON,
	detail JSON NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_scores PRIMARY KEY (id),
	CONSTRAINT fk_scores_run_id_runs FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
	CONSTRAINT fk_scores_source_run_id_runs FOREIGN KEY(source_run_id) REFERENCES runs (id),
	CONSTRAINT uq_scores_run_id_source_run_id_metric_figure_signature UNIQUE (run_id, source_run_id, metric, figure, signature)
);
INSERT INTO "scores" VALUES(11,13,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',1.0,6.7559243511611977162e-01,1.0,8,'[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]','{}',2,'2026-11-30 17:33:04.374335');
INSERT INTO "scores" VALUES(11,15,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',0.0,0.0,3.24407564883880228379e-01,8,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',4,'2026-11-30 17:33:08.765218');
INSERT INTO "scores" VALUES(16,12,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',1.0,6.7559243511611977162e-01,1.0,8,'[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]','{}',5,'2026-11-30 17:33:15.768793');
INSERT INTO "scores" VALUES(16,12,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',1.0,6.7559243511611977162e-01,1.0,8,'[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]','{}',6,'2026-11-30 17:33:16.331971');
INSERT INTO "scores" VALUES(16,13,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',1.0,6.7559243511611977162e-01,1.0,8,'[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]','{}',7,'2026-11-30 17:33:16.332528');
INSERT INTO "scores" VALUES(16,13,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',1.0,6.7559243511611977162e-01,1.0,8,'[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]','{}',8,'2026-11-30 17:33:16.332970');
INSERT INTO "scores" VALUES(16,14,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',0.0,0.0,3.24407564883880228379e-01,8,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',9,'2026-11-30 17:33:16.333400');
INSERT INTO "scores" VALUES(16,14,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',0.0,0.0,3.24407564883880228379e-01,8,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',10,'2026-11-30 17:33:16.333809');
INSERT INTO "scores" VALUES(16,15,'exact_match','exact_match','case:no|punct:yes|whole text|nfc','{"ignore_case": true, "ignore_punctuation": false, "first_line": false}',0.0,0.0,3.24407564883880228379e-01,8,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',11,'2026-11-30 17:33:16.406920');
INSERT INTO "scores" VALUES(16,15,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',0.0,0.0,3.24407564883880228379e-01,8,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',12,'2026-11-30 17:33:16.636696');
INSERT INTO "scores" VALUES(21,22,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',4.59485491632550535623e-02,3.42863137091614922358e-02,0.0591838415198658,100,'[0.0, 0.0, 0.0, 0.0, 0.13333333333333333, 0.0, 0.125, 0.08333333333333333, 0.0, 0.125, 0.125, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.08333333333333333, 0.0, 0.0, 0.13333333333333333, 0.0, 0.08333333333333333, 0.23529411764705882, 0.0, 0.0, 0.0, 0.14814814814814814, 0.07407407407407407, 0.0, 0.0, 0.0, 0.0, 0.0, 0.11764705882352941, 0.07692307692307693, 0.0, 0.0, 0.07407407407407407, 0.0, 0.11764705882352941, 0.0, 0.13333333333333333, 0.08333333333333333, 0.0, 0.0, 0.0, 0.0, 0.14285714285714285, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.07407407407407407, 0.13333333333333333, 0.14285714285714285, 0.11764705882352941, 0.0, 0.0, 0.11764705882352941, 0.13333333333333333, 0.11764705882352941, 0.0, 0.11764705882352941, 0.0, 0.11764705882352941, 0.0, 0.0, 0.14285714285714285, 0.0, 0.13333333333333333, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.0, 0.08, 0.0, 0.0, 0.0, 0.0, 0.07407407407407407, 0.11764705882352941, 0.13333333333333333, 0.13333333333333333, 0.0, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.14285714285714285, 0.0, 0.0]','{}',13,'2026-11-30 17:35:20.893379');
INSERT INTO "scores" VALUES(21,22,'rouge','rouge2_precision','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',6.52272727272727378955e-03,2.70514205932266636051e-03,1.28257317079375418589e-02,100,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.05, 0.125, 0.0, 0.0, 0.0, 0.045454545454545456, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.09090909090909091, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.09090909090909091, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',18,'2026-11-30 17:35:21.195459');
INSERT INTO "scores" VALUES(21,22,'rouge','rougeLsum_precision','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',5.96440169289139468511e-02,4.85972368190559778078e-02,7.13534038987435198508e-02,100,'[0.0, 0.0, 0.0, 0.09090909090909091, 0.09090909090909091, 0.08333333333333333, 0.1111111111111111, 0.09523809523809523, 0.08333333333333333, 0.1111111111111111, 0.09090909090909091, 0.05, 0.1111111111111111, 0.0, 0.0, 0.09090909090909091, 0.0, 0.0, 0.0, 0.05, 0.1, 0.0, 0.18181818181818182, 0.0, 0.09523809523809523, 0.2222222222222222, 0.0, 0.0, 0.1, 0.08695652173913043, 0.043478260869565216, 0.0, 0.0, 0.09090909090909091, 0.0, 0.0, 0.1111111111111111, 0.047619047619047616, 0.041666666666666664, 0.0, 0.045454545454545456, 0.0, 0.1111111111111111, 0.0, 0.16666666666666666, 0.045454545454545456, 0.0, 0.0, 0.0, 0.0, 0.1111111111111111, 0.0, 0.0, 0.1111111111111111, 0.0, 0.09090909090909091, 0.045454545454545456, 0.1111111111111111, 0.1111111111111111, 0.1111111111111111, 0.0, 0.09090909090909091, 0.1111111111111111, 0.16666666666666666, 0.1111111111111111, 0.1, 0.1111111111111111, 0.0, 0.1111111111111111, 0.0, 0.0, 0.1111111111111111, 0.09090909090909091, 0.18181818181818182, 0.05263157894736842, 0.0, 0.1111111111111111, 0.0, 0.041666666666666664, 0.0, 0.0, 0.08333333333333333, 0.05, 0.09090909090909091, 0.0, 0.09090909090909091, 0.0, 0.045454545454545456, 0.1111111111111111, 0.16666666666666666, 0.18181818181818182, 0.07692307692307693, 0.045454545454545456, 0.07692307692307693, 0.1111111111111111, 0.0, 0.09090909090909091, 0.1111111111111111, 0.0, 0.0]','{}',24,'2026-11-30 17:35:21.307347');
INSERT INTO "scores" VALUES(21,23,'token_f1','token_f1','squad normalisation, punctuation and unspaced scripts by Unicode, nfc|best reference','{"tokenizer": "auto"}',4.02355443031913659335e-02,2.84813950320754669109e-02,5.40853925140577507235e-02,100,'[0.0, 0.0, 0.0, 0.0, 0.13333333333333333, 0.0, 0.125, 0.08333333333333333, 0.0, 0.125, 0.08, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.0, 0.125, 0.0, 0.0, 0.16666666666666666, 0.13333333333333333, 0.0, 0.0, 0.23529411764705882, 0.0, 0.14285714285714285, 0.0, 0.14814814814814814, 0.0, 0.07692307692307693, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07692307692307693, 0.0, 0.0, 0.07407407407407407, 0.0, 0.11764705882352941, 0.0, 0.13333333333333333, 0.08333333333333333, 0.0, 0.0, 0.08333333333333333, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07692307692307693, 0.0, 0.14285714285714285, 0.11764705882352941, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.14285714285714285, 0.0, 0.13333333333333333, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07692307692307693, 0.0, 0.0, 0.0, 0.0, 0.07407407407407407, 0.11764705882352941, 0.13333333333333333, 0.13333333333333333, 0.0, 0.0, 0.0, 0.11764705882352941, 0.0, 0.0, 0.14285714285714285, 0.0, 0.0]','{}',26,'2026-11-30 17:35:37.239586');
INSERT INTO "scores" VALUES(21,23,'rouge','rouge2','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',1.01059577677224728814e-02,4.58787450339687759987e-03,1.87483910701973267853e-02,100,'[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07692307692307691, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.15384615384615383, 0.125, 0.0, 0.0, 0.125, 0.0, 0.13333333333333333, 0.0, 0.07692307692307693, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.07692307692307691, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.125, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.11764705882352942, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]','{}',30,'2026-11-30 17:35:37.311557');
INSERT INTO "scores" VALUES(21,23,'rouge','rougeLsum','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',0.0739818550739203,6.11344109126307072576e-02,8.8177729953455422085e-02,100,'[0.0, 0.1111111111111111, 0.0, 0.1111111111111111, 0.1111111111111111, 0.07692307692307693, 0.10526315789473685, 0.14285714285714285, 0.10526315789473685, 0.10526315789473685, 0.06896551724137931, 0.07407407407407408, 0.1111111111111111, 0.0, 0.0, 0.10526315789473685, 0.11764705882352941, 0.0, 0.11764705882352942, 0.0, 0.11764705882352941, 0.21428571428571427, 0.2222222222222222, 0.0, 0.07692307692307693, 0.2222222222222222, 0.0, 0.23529411764705882, 0.11764705882352941, 0.14285714285714285, 0.0, 0.07407407407407408, 0.0, 0.09999999999999999, 0.0, 0.1111111111111111, 0.0, 0.06896551724137931, 0.06666666666666667, 0.0, 0.06666666666666667, 0.0, 0.11764705882352941, 0.0, 0.2105263157894737, 0.07142857142857144, 0.0, 0.0, 0.14285714285714285, 0.11764705882352941, 0.10526315789473685, 0.0, 0.0, 0.0, 0.0, 0.1111111111111111, 0.06666666666666667, 0.11111111111111112, 0.125, 0.11764705882352941, 0.0, 0.09999999999999999, 0.11764705882352941, 0.07692307692307693, 0.0, 0.11764705882352941, 0.11764705882352941, 0.0, 0.0, 0.0, 0.0, 0.125, 0.1111111111111111, 0.2222222222222222, 0.07692307692307693, 0.1111111111111111, 0.11764705882352941, 0.0, 0.0625, 0.0, 0.0, 0.09523809523809525, 0.07407407407407407, 0.0, 0.0, 0.1111111111111111, 0.0, 0.06666666666666667, 0.11764705882352941, 0.2105263157894737, 0.2222222222222222, 0.1, 0.0, 0.1, 0.1111111111111111, 0.0, 0.1111111111111111, 0.125, 0.0, 0.0]','{}',36,'2026-11-30 17:35:37.435646');
INSERT INTO "scores" VALUES(24,22,'rouge','rougeL_recall','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',9.71309523809523733817e-02,8.03193722039328289463e-02,1.15807433816769639323e-01,100,'[]','{}',48,'2026-11-30 17:35:45.024355');
INSERT INTO "scores" VALUES(24,23,'rouge','rougeLsum_recall','refs:1|stem:yes|as rouge_score 0.1.2','{"use_stemmer": true, "lsum": true, "tokenizer": "auto"}',1.03559523809523809645e-01,8.61815510852261823515e-02,1.23350342832582421381e-01,100,'[]','{}',64,'2026-11-30 17:35:45.181192');
CREATE TABLE template_versions (
	template_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	content_hash TEXT NOT NULL,
	parts JSON NOT NULL,
	slots JSON NOT NULL,
	message TEXT NOT NULL,
	tags JSON NOT NULL,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_template_versions PRIMARY KEY (id),
	CONSTRAINT fk_template_versions_template_id_templates FOREIGN KEY(template_id) REFERENCES templates (id),
	CONSTRAINT uq_template_versions_template_id_content_hash UNIQUE (template_id, content_hash),
	CONSTRAINT uq_template_versions_template_id_number UNIQUE (template_id, number)
);
INSERT INTO "template_versions" VALUES(11,1,'f745b8f42c610e141d5e2ba3e9852f7b2d9c44f1836cf8f7e4fa22635d4e3885','{"system": "Answer with {{ labels | join('' or '') }}.", "instruction": "Review: {{ input }}\nLabel:", "shot": "Review: {{ input }}\nLabel: {{ reference }}", "separator": "\n"}','["input"]','Shipped with the lab','[]',11,'2026-11-30 17:31:53.465606');
INSERT INTO "template_versions" VALUES(19,1,'8e2f04711f7e7089ac06d2e3538eb86029cd4312bad26c578d298d05eb978a06','{"system": "", "instruction": "Answer the question about the passage.\n\n{{ input }}\nAnswer:", "shot": "", "separator": "\n\n"}','["input"]','Shipped with the lab','[]',19,'2026-11-30 17:31:53.533811');
INSERT INTO "template_versions" VALUES(36,1,'5fa967f36fc1d74428903c8a7dbdf27dade2c1fe01e6d2d3c0f16339b8f5ef1c','{"system": "", "instruction": "Say: {{ input }}", "shot": "", "separator": "\n\n"}','["input"]','first','["prod"]',36,'2026-11-30 17:32:11.524426');
INSERT INTO "template_versions" VALUES(36,2,'5db6e0cb894d2121d859d729e0b3a66ef69db80e734f78cfbe6004857dde0dd4','{"system": "", "instruction": "Say it: {{ input }}", "shot": "", "separator": "\n\n"}','["input"]','second','[]',37,'2026-11-30 17:32:11.567649');
CREATE TABLE templates (
	name TEXT NOT NULL,
	task TEXT NOT NULL,
	archived_at DATETIME,
	id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_templates PRIMARY KEY (id),
	CONSTRAINT uq_templates_name UNIQUE (name)
);
INSERT INTO "templates" VALUES('classify-review','classify',NULL,11,'2026-11-30 17:31:53.463820');
INSERT INTO "templates" VALUES('answer-passage','answer',NULL,19,'2026-11-30 17:31:53.532830');
INSERT INTO "templates" VALUES('mine','',NULL,36,'2026-11-30 17:32:11.523251');
CREATE INDEX ix_runs_group ON runs ("group");
CREATE INDEX ix_runs_status ON runs (status);
CREATE INDEX ix_template_versions_template_id ON template_versions (template_id);
CREATE INDEX ix_dataset_versions_dataset_id ON dataset_versions (dataset_id);
CREATE INDEX ix_dataset_versions_source_hash ON dataset_versions (source_hash);
CREATE INDEX ix_jobs_kind ON jobs (kind);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_scores_source_run_id ON scores (source_run_id);
CREATE INDEX ix_run_inputs_model_id ON run_inputs (model_id);
CREATE INDEX ix_run_inputs_dataset_version_id ON run_inputs (dataset_version_id);
CREATE INDEX ix_run_inputs_source_run_id ON run_inputs (source_run_id);
CREATE INDEX ix_run_inputs_template_version_id ON run_inputs (template_version_id);
CREATE INDEX ix_items_campaign_id_place ON items (campaign_id, place);
CREATE INDEX ix_items_campaign_id_room ON items (campaign_id, room);
CREATE INDEX ix_assignments_annotator_id_status ON assignments (annotator_id, status);
CREATE INDEX ix_assignments_campaign_id_status ON assignments (campaign_id, status, held_until);
CREATE INDEX ix_assignments_item_id ON assignments (item_id);
CREATE INDEX ix_candidates_item_id ON candidates (item_id);
CREATE INDEX ix_rankings_campaign_id_current ON rankings (campaign_id, current);
COMMIT;
